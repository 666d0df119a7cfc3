/** What stands around an input that is more than one control: its label, what it is for, what is wrong with it. */

import { type ReactNode, useId } from "react";
import style from "./frame.module.css";

interface Props {
  label: string;
  hint?: string | undefined;
  note?: string | undefined;
  error?: string | undefined;
  /** The one control that the label names. */
  htmlFor?: string;
  /** Several controls, which the label names together. Without either, what is inside has the label for its name. */
  role?: "group" | "radiogroup";
  children: ReactNode;
}

export function Frame({ label, hint, note, error, htmlFor, role, children }: Props) {
  const id = useId();
  const named = {
    className: style.frame,
    "aria-labelledby": `${id}-label`,
    "aria-describedby": [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined,
  };
  const inside = (
    <>
      <div className={style.head}>
        {htmlFor ? (
          <label htmlFor={htmlFor} className={style.label}>
            {label}
          </label>
        ) : (
          <span id={named["aria-labelledby"]} className={style.label}>
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
  if (role === "radiogroup") {
    return (
      <div role="radiogroup" {...named}>
        {inside}
      </div>
    );
  }
  if (role === "group") {
    return (
      <div role="group" {...named}>
        {inside}
      </div>
    );
  }
  return <div className={style.frame}>{inside}</div>;
}
