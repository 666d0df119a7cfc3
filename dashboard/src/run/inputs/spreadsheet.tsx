/** Rows with typed columns, filled in or pasted from a spreadsheet. */

import type { ClipboardEvent, KeyboardEvent } from "react";
import { Button } from "../../components/button.tsx";
import type { Common, Input, InputProps } from "../component.ts";
import { Frame } from "./frame.tsx";
import { noteOf } from "./note.ts";
import style from "./spreadsheet.module.css";

type Type = "string" | "number" | "boolean" | "string?" | "number?" | "boolean?";

interface Props extends Common {
  columns: Record<string, Type>;
  defaultValue?: Record<string, unknown>[] | null;
}

type Row = Record<string, string>;
type Draft = Row[];

const bare = (type: Type) => type.replace("?", "");

function Spreadsheet({ shown, draft, onChange, error, isReadOnly }: InputProps<Props, Draft>) {
  const { label, props } = shown;
  const columns = Object.entries(props.columns);
  const names = columns.map(([name]) => name);
  const set = (at: number, name: string, text: string) =>
    onChange(draft.map((row, index) => (index === at ? { ...row, [name]: text } : row)));
  const paste = (event: ClipboardEvent, at: number, name: string) => {
    const text = event.clipboardData.getData("text/plain").replace(/\r?\n$/, "");
    if (!/[\t\n]/.test(text)) return;
    event.preventDefault();
    onChange(pasted(draft, names, at, names.indexOf(name), text));
  };
  return (
    <Frame label={label} hint={props.helpText} note={noteOf(shown)} error={error}>
      <div className={style.scroller}>
        <table className={style.sheet} aria-label={label}>
          <thead>
            <tr>
              {columns.map(([name, type]) => (
                <th key={name} scope="col">
                  {name} <small>{type.endsWith("?") ? `${bare(type)}, optional` : type}</small>
                </th>
              ))}
              {!isReadOnly && (
                <th scope="col">
                  <span className="unseen">Remove</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {draft.map((row, at) => (
              <tr key={at}>
                {columns.map(([name, type]) => (
                  <td key={name}>
                    {bare(type) === "boolean" ? (
                      <input
                        type="checkbox"
                        aria-label={`${name}, row ${at + 1}`}
                        checked={row[name] === "true"}
                        disabled={isReadOnly}
                        onChange={(event) => set(at, name, String(event.target.checked))}
                      />
                    ) : (
                      <input
                        type="text"
                        inputMode={bare(type) === "number" ? "decimal" : undefined}
                        data-type={bare(type)}
                        aria-label={`${name}, row ${at + 1}`}
                        value={row[name] ?? ""}
                        readOnly={isReadOnly}
                        onKeyDown={below}
                        onPaste={(event) => paste(event, at, name)}
                        onChange={(event) => set(at, name, event.target.value)}
                      />
                    )}
                  </td>
                ))}
                {!isReadOnly && (
                  <td className={style.remove}>
                    <Button
                      kind="quiet"
                      icon="cross"
                      aria-label={`Remove row ${at + 1}`}
                      onClick={() => onChange(draft.filter((_, index) => index !== at))}
                    />
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {!isReadOnly && (
        <div className={style.foot}>
          <Button icon="plus" onClick={() => onChange([...draft, {}])}>
            Add row
          </Button>
          <span>Rows can be pasted from a spreadsheet.</span>
        </div>
      )}
    </Frame>
  );
}

/** Enter goes to the cell below, as in any spreadsheet; with Ctrl or Cmd it sends the form. */
function below(event: KeyboardEvent<HTMLInputElement>) {
  if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const cell = event.currentTarget.closest("td");
  const row = cell?.parentElement?.nextElementSibling;
  row?.children[cell?.cellIndex ?? 0]?.querySelector("input")?.focus();
}

/** The cells of what was copied elsewhere, from this cell to the right and down. */
function pasted(draft: Draft, names: string[], at: number, from: number, text: string): Draft {
  const rows = draft.map((row) => ({ ...row }));
  for (const [down, line] of text.split(/\r?\n/).entries()) {
    rows[at + down] ??= {};
    for (const [right, cell] of line.split("\t").entries()) {
      const [row, name] = [rows[at + down], names[from + right]];
      if (row && name !== undefined) row[name] = cell.trim();
    }
  }
  return rows;
}

/** A number that is none goes as the words it is, and is refused with its name. */
function cellOf(type: Type, text: string | undefined): unknown {
  if (bare(type) === "boolean") return /^(true|yes|1)$/i.test(text ?? "");
  if (text === undefined || text === "") return type.endsWith("?") ? null : bare(type) === "string" ? "" : null;
  if (bare(type) !== "number") return text;
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}

const isFilled = (row: Row) => Object.values(row).some((text) => text !== "" && text !== "false");

function draftOf(values: unknown): Draft {
  if (!Array.isArray(values)) return [];
  return values.map((row: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value == null ? "" : String(value)])),
  );
}

export const spreadsheet: Input<Props, Draft> = {
  Field: Spreadsheet,
  begin: ({ props }) => {
    const rows = draftOf(props.defaultValue);
    return rows.length > 0 ? rows : [{}];
  },
  answer: (draft, { props, isOptional }) => {
    const columns = Object.entries(props.columns);
    const rows = draft
      .filter(isFilled)
      .map((row) => Object.fromEntries(columns.map(([name, type]) => [name, cellOf(type, row[name])])));
    return rows.length > 0 ? rows : isOptional ? null : [];
  },
  draftOf: (value) => draftOf(value),
  words: (value) => (Array.isArray(value) ? `${value.length} row${value.length === 1 ? "" : "s"}` : ""),
};
