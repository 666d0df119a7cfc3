/** Rows to choose from, over all pages. */

import type { Common, Input, InputProps } from "../component.ts";
import { isNumber, plainWords } from "../table/cell.tsx";
import { type Column, keyOf } from "../table/csv.ts";
import { DataTable, type TableProps } from "../table/data_table.tsx";
import type { Row } from "../table/rows.ts";
import { Frame } from "./frame.tsx";
import { between, noteOf } from "./note.ts";

interface Props extends TableProps, Common {
  minSelections?: number;
  maxSelections?: number;
  selectedKeys?: string[];
}

/** Keys of rows. */
type Draft = string[];

/** More are counted instead of named. */
const NAMED_MAX = 5;

function SelectTable({ shown, draft, onChange, error, isReadOnly, ask }: InputProps<Props, Draft>) {
  const { label, props } = shown;
  const isOff = isReadOnly || (props.disabled ?? false);
  // Of what was answered, the rows that were chosen are of interest.
  const chosen = props.data.filter(({ key }) => draft.includes(key));
  const table = isReadOnly ? { ...props, data: chosen, totalRecords: chosen.length, isFilterable: false } : props;
  return (
    <Frame
      label={label}
      hint={props.helpText}
      note={noteOf(shown, between(props.minSelections, props.maxSelections))}
      error={error}
    >
      <DataTable
        label={label}
        props={table}
        ask={ask}
        isReadOnly={isOff}
        selection={isReadOnly ? undefined : { keys: draft, onChange, max: props.maxSelections }}
      />
      {isReadOnly && chosen.length < draft.length && <p>and {draft.length - chosen.length} more</p>}
    </Frame>
  );
}

/** The first of its values that is more than a number. */
function nameOf({ data, key }: Row, columns: Column[]): string {
  const values = columns.map((column, place) => data[keyOf(column, place)]);
  return plainWords(values.find((value) => plainWords(value) !== "" && !isNumber(value)) ?? values[0]) || key;
}

const keysOf = (value: unknown): Draft =>
  Array.isArray(value) ? value.map((row: { key?: unknown }) => String(row?.key)) : [];

export const selectTable: Input<Props, Draft> = {
  Field: SelectTable,
  begin: ({ props }) => props.selectedKeys ?? [],
  answer: (draft, { isOptional }) => (isOptional && draft.length === 0 ? null : draft.map((key) => ({ key }))),
  draftOf: keysOf,
  words: (value, { props }) => {
    const keys = keysOf(value);
    const names = props.data.filter(({ key }) => keys.includes(key)).map((row) => nameOf(row, props.columns));
    if (keys.length <= NAMED_MAX && names.length === keys.length) return names.join(", ");
    return `${keys.length} row${keys.length === 1 ? "" : "s"}`;
  },
};
