/** What every component of a question has in common, and what each kind of input is to the form. */

import type { ReactNode } from "react";
import type { Component, Json } from "../api/types.ts";
import { decoded } from "./superjson.ts";

/** A component with its properties decoded. */
export interface Shown<Props = unknown> {
  method: string;
  label: string;
  props: Props;
  isOptional: boolean;
  isMultiple: boolean;
  /** What `.multiple()` begins with. */
  defaultValues: unknown[];
  error: string | undefined;
}

/** What most inputs have. */
export interface Common {
  helpText?: string;
  placeholder?: string;
  disabled?: boolean;
}

const known = new WeakMap<Component, Shown>();

/** The same component gives the same, so that what is drawn from it stays. */
export function shownOf(component: Component): Shown {
  const before = known.get(component);
  if (before) return before;
  const shown: Shown = {
    method: component.methodName,
    label: component.label,
    props: decoded(component.props, component.propsMeta) ?? {},
    isOptional: component.isOptional ?? false,
    isMultiple: component.isMultiple ?? false,
    defaultValues: component.multipleProps?.defaultValue ?? [],
    error: component.validationErrorMessage ?? undefined,
  };
  known.set(component, shown);
  return shown;
}

/** Nobody answers it. */
export const isDisplay = ({ methodName }: Component) => methodName.startsWith("DISPLAY_");

/** Tells a component what a person looks for in it: a page, an order, words; resolves to what it looks like then. */
export type Ask = (state: Json) => Promise<Shown>;

export interface DisplayProps<Props> {
  shown: Shown<Props>;
  ask: Ask;
  /** Nothing can be asked of it any more. */
  isReadOnly: boolean;
}

export interface InputProps<Props, Draft> extends DisplayProps<Props> {
  draft: Draft;
  onChange: (draft: Draft) => void;
  error: string | undefined;
  /** Something is on its way, without which there is no answer. */
  onBusy: (isBusy: boolean) => void;
}

/** A kind of input. A draft is what a person has filled in so far: JSON, so that it outlives the page. */
export interface Input<Props = unknown, Draft extends Json = Json> {
  Field(props: InputProps<Props, Draft>): ReactNode;
  begin(shown: Shown<Props>): Draft;
  /** What goes over the wire; null where it was left empty. */
  answer(draft: Draft, shown: Shown<Props>): unknown;
  /** The draft that would have led to an answer: so it is shown again. */
  draftOf(value: unknown, shown: Shown<Props>): Draft;
  /** The answer in one line. */
  words(value: unknown, shown: Shown<Props>): string;
}
