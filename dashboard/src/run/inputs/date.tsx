/** A day, a time of day, or both, as the browser asks for them. */

import { Field } from "../../components/field.tsx";
import type { Common, Input, InputProps } from "../component.ts";
import { noteOf } from "./note.ts";

interface Moment {
  year?: number;
  month?: number;
  day?: number;
  hour?: number;
  minute?: number;
}

interface Props extends Common {
  defaultValue?: Moment | null;
  min?: Moment;
  max?: Moment;
}

type Kind = "date" | "time" | "datetime-local";

const two = (number = 0) => String(number).padStart(2, "0");

/** As the browser writes it: `2026-11-22`, `09:30`, `2026-11-22T09:30`. */
function written(kind: Kind, moment: Moment | null | undefined): string {
  if (!moment) return "";
  const day = `${String(moment.year ?? 0).padStart(4, "0")}-${two(moment.month)}-${two(moment.day)}`;
  const time = `${two(moment.hour)}:${two(moment.minute)}`;
  return { date: day, time, "datetime-local": `${day}T${time}` }[kind];
}

function read(kind: Kind, text: string): Moment | null {
  const numbers = text.split(/\D/).map(Number);
  if (text === "" || numbers.some(Number.isNaN)) return null;
  if (kind === "time") return { hour: numbers[0], minute: numbers[1] };
  const [year, month, day, hour, minute] = numbers;
  return kind === "date" ? { year, month, day } : { year, month, day, hour, minute };
}

const FORMATS: Record<Kind, Intl.DateTimeFormatOptions> = {
  date: { dateStyle: "long" },
  time: { timeStyle: "short" },
  "datetime-local": { dateStyle: "long", timeStyle: "short" },
};

function words(kind: Kind, moment: Moment): string {
  const { year = 2000, month = 1, day = 1, hour = 0, minute = 0 } = moment;
  return new Intl.DateTimeFormat(undefined, FORMATS[kind]).format(new Date(year, month - 1, day, hour, minute));
}

function bounds(kind: Kind, { min, max }: Props): string | undefined {
  if (min && max) return `${words(kind, min)} to ${words(kind, max)}`;
  if (min) return `not before ${words(kind, min)}`;
  return max && `not after ${words(kind, max)}`;
}

const moment = (kind: Kind): Input<Props, string> => ({
  Field({ shown, draft, onChange, error, isReadOnly }: InputProps<Props, string>) {
    const { label, props } = shown;
    return (
      <Field
        label={label}
        note={noteOf(shown, bounds(kind, props))}
        hint={props.helpText}
        error={error}
        type={kind}
        value={draft}
        min={written(kind, props.min) || undefined}
        max={written(kind, props.max) || undefined}
        readOnly={isReadOnly}
        disabled={props.disabled}
        onChange={(event) => onChange(event.target.value)}
      />
    );
  },
  begin: ({ props }) => written(kind, props.defaultValue),
  answer: (draft) => read(kind, draft),
  draftOf: (value) => written(kind, value as Moment | null),
  words: (value) => (value ? words(kind, value as Moment) : ""),
});

export const date = moment("date");
export const time = moment("time");
export const datetime = moment("datetime-local");
