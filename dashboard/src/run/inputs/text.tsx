/** A line of text, or several; an e-mail address; a URL. */

import { Field } from "../../components/field.tsx";
import type { Common, Input, InputProps } from "../component.ts";
import { noteOf } from "./note.ts";

interface Props extends Common {
  defaultValue?: string | null;
  multiline?: boolean;
  lines?: number;
  minLength?: number;
  maxLength?: number;
}

const LINES = 3;

/** What browsers know of a kind of text. */
const TYPES: Record<string, { type: string; autoComplete?: string; placeholder?: string }> = {
  INPUT_EMAIL: { type: "email", autoComplete: "email", placeholder: "you@example.com" },
  INPUT_URL: { type: "url", autoComplete: "url", placeholder: "https://example.com" },
};

function Text({ shown, draft, onChange, error, isReadOnly }: InputProps<Props, string>) {
  const { label, props } = shown;
  const shared = {
    label,
    note: noteOf(shown, lengths(props)),
    hint: props.helpText,
    error,
    value: draft,
    readOnly: isReadOnly,
    disabled: props.disabled,
  };
  if (props.multiline || (props.lines ?? 1) > 1) {
    return (
      <Field
        {...shared}
        as="textarea"
        isProse
        rows={props.lines ?? LINES}
        placeholder={props.placeholder}
        onChange={(event) => onChange(event.target.value)}
      />
    );
  }
  const { placeholder, ...type } = TYPES[shown.method] ?? { type: "text", autoComplete: "off" };
  return (
    <Field
      {...shared}
      {...type}
      placeholder={props.placeholder ?? placeholder}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

function lengths({ minLength, maxLength }: Props): string | undefined {
  if (minLength && maxLength) return `${minLength} to ${maxLength} characters`;
  if (minLength) return `at least ${minLength} characters`;
  return maxLength ? `at most ${maxLength} characters` : undefined;
}

export const text: Input<Props, string> = {
  Field: Text,
  begin: ({ props }) => props.defaultValue ?? "",
  answer: (draft) => (draft === "" ? null : draft),
  draftOf: (value) => (typeof value === "string" ? value : ""),
  words: (value) => String(value ?? ""),
};
