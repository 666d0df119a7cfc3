/** Tiles: images with a name and a sentence, each of which may lead somewhere. */

import type { Target } from "../../api/types.ts";
import type { DisplayProps } from "../component.ts";
import { Filter, NoRows, Pager } from "../table/pager.tsx";
import { RowMenu } from "../table/row_menu.tsx";
import { type MenuItem, type Row, type RowsProps, useRows } from "../table/rows.ts";
import { Figure } from "./figure.tsx";
import style from "./grid.module.css";
import { Picture } from "./picture.tsx";
import { Lead } from "./place.tsx";

interface Tile extends Target {
  label?: string | null;
  title?: string | null;
  description?: string | null;
  image?: { url?: string | null; alt?: string; fit?: "cover" | "contain"; aspectRatio?: number } | null;
  menu?: MenuItem[];
}

interface Props extends RowsProps {
  idealColumnWidth?: number;
  helpText?: string;
  isFilterable?: boolean;
}

const PAGE_SIZE = 20;
const COLUMN_PX = 200;

export function Grid({ shown, ask, isReadOnly }: DisplayProps<Props>) {
  const { props, label } = shown;
  const rows = useRows(props, props.defaultPageSize ?? PAGE_SIZE, ask, isReadOnly);
  const isEmpty = rows.rows.length === 0;
  const column = `minmax(min(${props.idealColumnWidth ?? COLUMN_PX}px, 45%), 1fr)`;
  return (
    <Figure label={label} hint={props.helpText}>
      <div className={style.whole} data-wide aria-busy={rows.isBusy || undefined}>
        {props.isFilterable !== false && (rows.view.queryTerm !== "" || !isEmpty) && <Filter rows={rows} />}
        {isEmpty ? (
          <NoRows rows={rows} />
        ) : (
          <ul className={style.tiles} style={{ gridTemplateColumns: `repeat(auto-fill, ${column})` }}>
            {rows.rows.map((row) => (
              <TileItem key={row.key} row={row} />
            ))}
          </ul>
        )}
        <Pager rows={rows} />
      </div>
    </Figure>
  );
}

function TileItem({ row }: { row: Row }) {
  const tile = row.data as Tile;
  const name = tile.label ?? tile.title ?? "";
  const leads = Boolean(tile.url ?? tile.route ?? tile.action);
  return (
    <li className={style.tile}>
      {tile.image?.url && (
        <div
          className={style.image}
          style={{ aspectRatio: tile.image.aspectRatio ?? 1.5 }}
          data-fit={tile.image.fit ?? "cover"}
        >
          <Picture url={tile.image.url} alt={tile.image.alt ?? ""} />
        </div>
      )}
      {(name || tile.description || tile.menu) && (
        <div className={style.words}>
          <div>
            {name && (leads ? <Lead target={tile}>{name}</Lead> : <span className={style.name}>{name}</span>)}
            {tile.description && <p>{tile.description}</p>}
          </div>
          {tile.menu && tile.menu.length > 0 && <RowMenu items={tile.menu} />}
        </div>
      )}
    </li>
  );
}
