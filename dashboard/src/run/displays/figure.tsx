/** A label above something that is shown. */

import type { ReactNode } from "react";
import style from "./figure.module.css";

interface Props {
  label: string;
  hint?: string | undefined;
  children: ReactNode;
}

export function Figure({ label, hint, children }: Props) {
  return (
    <div className={style.figure}>
      {label && <p className={style.label}>{label}</p>}
      {hint && <p className={style.hint}>{hint}</p>}
      {children}
    </div>
  );
}
