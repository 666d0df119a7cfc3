/** A number: plain, with so many decimals, or an amount of money. */

import { Field } from "../../components/field.tsx";
import type { Common, Input, InputProps } from "../component.ts";
import { between, noteOf } from "./note.ts";

interface Props extends Common {
  min?: number;
  max?: number;
  prepend?: string;
  decimals?: number;
  currency?: string;
  defaultValue?: number | null;
}

function NumberField({ shown, draft, onChange, error, isReadOnly }: InputProps<Props, string>) {
  const { label, props } = shown;
  return (
    <Field
      label={label}
      note={noteOf(shown, between(props.min, props.max))}
      hint={props.helpText}
      error={error}
      lead={props.prepend ?? (props.currency && symbolOf(props.currency))}
      type="number"
      inputMode="decimal"
      step="any"
      placeholder={props.placeholder}
      value={draft}
      readOnly={isReadOnly}
      disabled={props.disabled}
      // Who scrolls the page over it does not mean to change it.
      onWheel={(event) => event.currentTarget.blur()}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

const money = (currency: string) => new Intl.NumberFormat(undefined, { style: "currency", currency });

function symbolOf(currency: string): string {
  return (
    money(currency)
      .formatToParts(0)
      .find(({ type }) => type === "currency")?.value ?? currency
  );
}

export const number: Input<Props, string> = {
  Field: NumberField,
  begin: ({ props }) => (typeof props.defaultValue === "number" ? String(props.defaultValue) : ""),
  answer: (draft) => (draft.trim() === "" ? null : Number(draft)),
  draftOf: (value) => (typeof value === "number" ? String(value) : ""),
  words: (value, { props: { currency, prepend, decimals } }) => {
    if (typeof value !== "number") return "";
    if (currency) return money(currency).format(value);
    return `${prepend ?? ""}${decimals === undefined ? value : value.toFixed(decimals)}`;
  },
};
