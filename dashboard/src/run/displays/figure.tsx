/** A label above something that is shown. */

import { type ReactNode, useId } from "react";
import style from "./figure.module.css";

interface Props {
  label: string;
  hint?: string | undefined;
  children: ReactNode;
}

export function Figure({ label, hint, children }: Props) {
  const id = useId();
  return (
    <section className={style.figure} aria-labelledby={label ? id : undefined}>
      {label && (
        <h3 id={id} className={style.label}>
          {label}
        </h3>
      )}
      {hint && <p className={style.hint}>{hint}</p>}
      {children}
    </section>
  );
}
