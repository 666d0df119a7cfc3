/** A part of a tab: its heading, a sentence on what it is for, and what can be done. */

import type { ReactNode } from "react";
import style from "./tab_section.module.css";

export function Sections({ children }: { children: ReactNode }) {
  return <div className={style.sections}>{children}</div>;
}

/** A table in a section: it scrolls by itself where it is long. */
export function Framed({ children }: { children: ReactNode }) {
  return <div className={style.framed}>{children}</div>;
}

interface Props {
  title: string;
  why?: ReactNode;
  actions?: ReactNode;
  children?: ReactNode;
}

export function Section({ title, why, actions, children }: Props) {
  return (
    <section className={style.section} aria-label={title}>
      <header className={style.head}>
        <div className={style.words}>
          <h2>{title}</h2>
          {why && <p className={style.why}>{why}</p>}
        </div>
        {actions && <div className={style.actions}>{actions}</div>}
      </header>
      {children}
    </section>
  );
}
