/** What stands around an input that is more than one control: its label, what it is for, what is wrong with it. */

import { type ReactNode, useId } from "react";
import style from "./frame.module.css";

interface Props {
  label: string;
  hint?: string | undefined;
  note?: string | undefined;
  error?: string | undefined;
  /** The control that the label names; without one, it names the group. */
  htmlFor?: string;
  role?: "group" | "radiogroup";
  children: ReactNode;
}

export function Frame({ label, hint, note, error, htmlFor, role = "group", children }: Props) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  const inside = (
    <>
      <div className={style.head}>
        {htmlFor ? (
          <label htmlFor={htmlFor} className={style.label}>
            {label}
          </label>
        ) : (
          <span id={`${id}-label`} className={style.label}>
            {label}
          </span>
        )}
        {note && <span className={style.note}>{note}</span>}
      </div>
      {hint && (
        <p id={`${id}-hint`} className={style.hint}>
          {hint}
        </p>
      )}
      {children}
      {error && (
        <p id={`${id}-error`} className={style.error} data-pw="field-error">
          {error}
        </p>
      )}
    </>
  );
  if (htmlFor) return <div className={style.frame}>{inside}</div>;
  return (
    <div className={style.frame} role={role} aria-labelledby={`${id}-label`} aria-describedby={described}>
      {inside}
    </div>
  );
}
