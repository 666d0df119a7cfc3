/** Nothing is here yet: what would be, and what to do for it. */

import type { ReactNode } from "react";
import style from "./empty.module.css";

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={style.empty}>
      <p className={style.title}>{title}</p>
      {children && <div className={style.next}>{children}</div>}
    </div>
  );
}
