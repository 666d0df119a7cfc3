/** The frame of a page that is read from top to bottom: its heading, what can be done here, its sections. */

import { type ReactNode, useId } from "react";
import style from "./page.module.css";

interface PageProps {
  title: string;
  /** The heading is for screen readers alone: something else says it to the others. */
  isUnseenTitle?: boolean;
  /** A sentence below the heading. */
  about?: ReactNode;
  actions?: ReactNode;
  /** As high as the window: what is inside scrolls by itself. */
  isFilled?: boolean;
  /** As wide as text is read well. */
  isNarrow?: boolean;
  children: ReactNode;
}

export function Page(props: PageProps) {
  const { title, about, actions, isUnseenTitle = false, isFilled = false, isNarrow = false, children } = props;
  return (
    <div className={[style.page, isFilled && style.filled, isNarrow && style.narrow].filter(Boolean).join(" ")}>
      <header className={isUnseenTitle ? "unseen" : style.head}>
        <div>
          <h1>{title}</h1>
          {about && <p className={style.about}>{about}</p>}
        </div>
        {actions && <div className={style.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}

interface SectionProps {
  title: string;
  /** Of its place in the page, for links that lead there. */
  id?: string;
  about?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

export function Section({ title, id: place, about, actions, children }: SectionProps) {
  const id = useId();
  return (
    <section id={place} className={style.section} aria-labelledby={id}>
      <header className={style.head}>
        <div>
          <h2 id={id}>{title}</h2>
          {about && <p className={style.about}>{about}</p>}
        </div>
        {actions && <div className={style.actions}>{actions}</div>}
      </header>
      {children}
    </section>
  );
}

/** A surface that lifts what belongs together off the page. */
export function Card({ children, isFlush = false }: { children: ReactNode; isFlush?: boolean }) {
  return <div className={`${style.card} ${isFlush ? style.flush : ""}`}>{children}</div>;
}
