/** Names and values: as a grid, a list, or cards. */

import type { Target } from "../../api/types.ts";
import type { DisplayProps } from "../component.ts";
import { Cell } from "../table/cell.tsx";
import { Figure } from "./figure.tsx";
import style from "./metadata.module.css";
import type { PictureProps } from "./picture.tsx";

interface Item extends Target {
  label: string;
  value?: unknown;
  image?: PictureProps;
  error?: string | null;
}

interface Props {
  data: Item[];
  layout?: "grid" | "list" | "card";
}

export function Metadata({ shown }: DisplayProps<Props>) {
  const { data, layout = "grid" } = shown.props;
  return (
    <Figure label={shown.label}>
      <dl className={`${style.metadata} ${style[layout]}`}>
        {data.map(({ label, error, ...item }, place) => (
          <div key={place} className={style.item}>
            <dt>{label}</dt>
            <dd>{error ? <span className={style.error}>{error}</span> : <Value item={item} />}</dd>
          </div>
        ))}
      </dl>
    </Figure>
  );
}

function Value({ item }: { item: Omit<Item, "label"> }) {
  // A promised value is not there yet.
  if (item.value === undefined && !item.image) return <span className={style.waiting}>…</span>;
  const { value, ...rest } = item;
  return <Cell value={{ ...rest, label: value === null ? "—" : value }} />;
}
