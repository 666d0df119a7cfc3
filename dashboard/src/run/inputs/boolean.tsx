/** Yes or no. */

import { useId } from "react";
import type { Common, Input, InputProps } from "../component.ts";
import style from "./boolean.module.css";

interface Props extends Common {
  defaultValue?: boolean | null;
}

function Boolean_({ shown, draft, onChange, error, isReadOnly }: InputProps<Props, boolean>) {
  const id = useId();
  const { label, props } = shown;
  return (
    <div className={style.boolean}>
      <input
        id={id}
        type="checkbox"
        checked={draft}
        disabled={isReadOnly || props.disabled}
        aria-invalid={error ? true : undefined}
        aria-describedby={
          [props.helpText && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined
        }
        onChange={(event) => onChange(event.target.checked)}
      />
      <label htmlFor={id}>{label}</label>
      {props.helpText && (
        <p id={`${id}-hint`} className={style.hint}>
          {props.helpText}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} className={style.error} data-pw="field-error">
          {error}
        </p>
      )}
    </div>
  );
}

export const boolean: Input<Props, boolean> = {
  Field: Boolean_,
  begin: ({ props }) => props.defaultValue ?? false,
  answer: (draft) => draft,
  draftOf: (value) => value === true,
  words: (value) => (value === true ? "Yes" : "No"),
};
