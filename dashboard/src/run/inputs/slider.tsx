/** A number between two bounds, found by sliding. */

import { useId } from "react";
import type { Common, Input, InputProps } from "../component.ts";
import { Frame } from "./frame.tsx";
import { noteOf } from "./note.ts";
import style from "./slider.module.css";

interface Props extends Common {
  min: number;
  max: number;
  step?: number;
  defaultValue?: number | null;
}

function Slider({ shown, draft, onChange, error, isReadOnly }: InputProps<Props, number>) {
  const id = useId();
  const { label, props } = shown;
  return (
    <Frame label={label} htmlFor={id} hint={props.helpText} note={noteOf(shown)} error={error}>
      <div className={style.slider}>
        <span>{props.min}</span>
        <input
          id={id}
          type="range"
          min={props.min}
          max={props.max}
          step={props.step ?? 1}
          value={draft}
          disabled={isReadOnly || props.disabled}
          aria-invalid={error ? true : undefined}
          onChange={(event) => onChange(event.target.valueAsNumber)}
        />
        <span>{props.max}</span>
        <output htmlFor={id}>{draft}</output>
      </div>
    </Frame>
  );
}

export const slider: Input<Props, number> = {
  Field: Slider,
  begin: ({ props }) => props.defaultValue ?? props.min,
  answer: (draft) => draft,
  draftOf: (value, { props }) => (typeof value === "number" ? value : props.min),
  words: (value) => String(value ?? ""),
};
