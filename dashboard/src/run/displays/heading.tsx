/** A heading, with a sentence and what can be done. */

import type { ButtonTheme, Target } from "../../api/types.ts";
import type { DisplayProps } from "../component.ts";
import style from "./heading.module.css";
import { LeadButton } from "./place.tsx";

interface Props {
  level?: 2 | 3 | 4;
  description?: string;
  menuItems?: (Target & { label: string; theme?: ButtonTheme; disabled?: boolean })[];
}

export function Heading({ shown }: DisplayProps<Props>) {
  const { level = 2, description, menuItems = [] } = shown.props;
  const Level = `h${level}` as const;
  return (
    <div className={style.heading}>
      <div className={style.words}>
        <Level className={style[Level]}>{shown.label}</Level>
        {description && <p className={style.description}>{description}</p>}
      </div>
      {menuItems.length > 0 && (
        <div className={style.items}>
          {menuItems.map((item, place) => (
            <LeadButton key={place} item={item} />
          ))}
        </div>
      )}
    </div>
  );
}
