/** The one table of actions: rows in pages, sorted, filtered, chosen, taken along. */

import { useId, useState } from "react";
import { Button } from "../../components/button.tsx";
import { Icon } from "../../components/icon.tsx";
import { useToast } from "../../components/toast.tsx";
import type { Ask } from "../component.ts";
import { Cell, isNumber, plainWords } from "./cell.tsx";
import { type Column, csvOf, download, keyOf } from "./csv.ts";
import style from "./data_table.module.css";
import { Filter, NoRows, Pager } from "./pager.tsx";
import { RowMenu } from "./row_menu.tsx";
import { type Row, type RowsProps, stateOf, useRows, type View } from "./rows.ts";

export interface TableProps extends RowsProps {
  columns: Column[];
  orientation?: "horizontal" | "vertical";
  isSortable?: boolean;
  isFilterable?: boolean;
}

/** Rows that can be chosen. */
export interface Selection {
  keys: string[];
  onChange: (keys: string[]) => void;
  max: number | undefined;
}

interface Props {
  label: string;
  props: TableProps;
  ask: Ask;
  isReadOnly: boolean;
  selection?: Selection | undefined;
}

/** More need more room than text does. */
const WIDE_COLUMNS = 4;

const PAGE_SIZE = { horizontal: 20, vertical: 5 };

export function DataTable({ label, props, ask, isReadOnly, selection }: Props) {
  const { columns: given, orientation = "horizontal", isSortable = true, isFilterable = true } = props;
  const rows = useRows(props, props.defaultPageSize ?? PAGE_SIZE[orientation], ask, isReadOnly);
  const columns = given.length > 0 ? given : columnsOf(rows.rows);
  const isEmpty = rows.rows.length === 0;
  const isWorthFiltering = isFilterable && (rows.view.queryTerm !== "" || !isEmpty);
  const isWide = columns.length > WIDE_COLUMNS && orientation === "horizontal" && !isEmpty;
  const picked = selection && new Set(selection.keys);
  return (
    <div className={style.whole} data-wide={isWide || undefined} aria-busy={rows.isBusy || undefined}>
      <div className={style.above}>
        {isWorthFiltering && <Filter rows={rows} />}
        {selection && !isReadOnly && <Choosing rows={rows} selection={selection} ask={ask} />}
      </div>
      <div className={style.card}>
        {isEmpty ? (
          <NoRows rows={rows} />
        ) : orientation === "vertical" ? (
          <Vertical label={label} columns={columns} rows={rows.rows} />
        ) : (
          <Horizontal
            label={label}
            columns={columns}
            rows={rows}
            isSortable={isSortable}
            picked={picked}
            selection={isReadOnly ? undefined : selection}
          />
        )}
      </div>
      <Pager rows={rows}>{!isEmpty && <Csv label={label} columns={columns} rows={rows} />}</Pager>
    </div>
  );
}

type Rows = ReturnType<typeof useRows>;

/** An action that names no columns shows what its rows have. */
function columnsOf(rows: Row[]): Column[] {
  const names = new Set(rows.flatMap(({ data }) => Object.keys(data)));
  return [...names].map((name) => ({ label: name, accessorKey: name }));
}

interface HorizontalProps {
  label: string;
  columns: Column[];
  rows: Rows;
  isSortable: boolean;
  picked: ReadonlySet<string> | undefined;
  selection: Selection | undefined;
}

function Horizontal({ label, columns, rows, isSortable, picked, selection }: HorizontalProps) {
  const hasMenu = rows.rows.some(({ menu }) => menu && menu.length > 0);
  const turn = (key: string) => {
    if (!selection) return;
    const { keys, onChange, max } = selection;
    if (picked?.has(key)) onChange(keys.filter((other) => other !== key));
    // Where there is room for one, the other goes.
    else onChange(max === 1 ? [key] : [...keys, key]);
  };
  return (
    <div className={style.scroller}>
      <table className={style.table} aria-label={label}>
        <thead>
          <tr>
            {picked && (
              <th scope="col" className={style.pick}>
                <span className="unseen">Selected</span>
              </th>
            )}
            {columns.map((column, place) => (
              <Heading
                key={place}
                column={column}
                name={keyOf(column, place)}
                isNumeric={isNumber(rows.rows[0]?.data[keyOf(column, place)])}
                rows={rows}
                isSortable={isSortable}
              />
            ))}
            {hasMenu && (
              <th scope="col">
                <span className="unseen">Options</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {rows.rows.map((row) => (
            <tr
              key={row.key}
              aria-selected={picked ? picked.has(row.key) : undefined}
              className={selection ? style.picks : undefined}
              onClick={
                selection &&
                ((event) => {
                  if (!(event.target as Element).closest("a, button, input")) turn(row.key);
                })
              }
            >
              {picked && (
                <td className={style.pick}>
                  <input
                    type="checkbox"
                    aria-label={`Row ${plainWords(row.data[keyOf(columns[0] ?? { label: "" }, 0)]) || row.key}`}
                    checked={picked.has(row.key)}
                    disabled={!selection}
                    onChange={() => turn(row.key)}
                  />
                </td>
              )}
              {columns.map((column, place) => {
                const value = row.data[keyOf(column, place)];
                return (
                  <td key={place} className={isNumber(value) ? style.number : style.text}>
                    <Cell value={value} />
                  </td>
                );
              })}
              {hasMenu && <td className={style.menu}>{row.menu && <RowMenu items={row.menu} />}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface HeadingProps {
  column: Column;
  name: string;
  isNumeric: boolean;
  rows: Rows;
  isSortable: boolean;
}

const NEXT: Record<string, View["sortDirection"]> = { none: "asc", asc: "desc", desc: null };
const SORT = { none: "none", asc: "ascending", desc: "descending" } as const;

function Heading({ column, name, isNumeric, rows, isSortable }: HeadingProps) {
  const { sortColumn, sortDirection } = rows.view;
  const direction = sortColumn === name ? (sortDirection ?? "none") : "none";
  const className = isNumeric ? style.number : undefined;
  if (!isSortable) {
    return (
      <th scope="col" className={className}>
        {column.label}
      </th>
    );
  }
  const next = NEXT[direction] ?? null;
  return (
    <th scope="col" className={className} aria-sort={SORT[direction]}>
      <button
        type="button"
        className={style.sort}
        onClick={() => rows.show({ sortColumn: next && name, sortDirection: next, offset: 0 })}
      >
        {column.label}
        <span className={style.direction} aria-hidden="true">
          {direction === "asc" ? "↑" : direction === "desc" ? "↓" : ""}
        </span>
      </button>
    </th>
  );
}

/** Each row as a list of its values. */
function Vertical({ label, columns, rows }: { label: string; columns: Column[]; rows: Row[] }) {
  return (
    <div className={style.vertical} role="table" aria-label={label}>
      {rows.map((row) => (
        <div key={row.key} role="rowgroup" className={style.record}>
          {columns.map((column, place) => (
            <div key={place} role="row">
              <span role="rowheader">{column.label}</span>
              <span role="cell">
                <Cell value={row.data[keyOf(column, place)]} />
              </span>
            </div>
          ))}
          {row.menu && row.menu.length > 0 && (
            <div role="row" className={style.recordMenu}>
              <span role="cell">
                <RowMenu items={row.menu} />
              </span>
            </div>
          )}
        </div>
      ))}
    </div>
  );
}

function Choosing({ rows, selection, ask }: { rows: Rows; selection: Selection; ask: Ask }) {
  const toast = useToast();
  const { keys, onChange, max } = selection;
  const isTooMany = max !== undefined && (rows.total ?? 0) > max;
  const chooseAll = async () => {
    // Over all pages: the action knows the keys of the rows that are not here.
    const found = rows.isWhole
      ? (await rows.all()).map(({ key }) => key)
      : ((await ask({ ...stateOf(rows.view), isSelectAll: true })).props as { selectedKeys?: string[] }).selectedKeys;
    onChange([...new Set([...keys, ...(found ?? [])])]);
  };
  return (
    <div className={style.choosing}>
      <span role="status">{keys.length} selected</span>
      <Button kind="quiet" disabled={isTooMany} onClick={() => chooseAll().catch(toast.failed)}>
        Select all
      </Button>
      <Button kind="quiet" disabled={keys.length === 0} onClick={() => onChange([])}>
        Select none
      </Button>
    </div>
  );
}

function Csv({ label, columns, rows }: { label: string; columns: Column[]; rows: Rows }) {
  const toast = useToast();
  const id = useId();
  const [isBusy, setBusy] = useState(false);
  const save = () => {
    setBusy(true);
    rows
      .all()
      .then((all) => download(label, csvOf(columns, all)), toast.failed)
      .finally(() => setBusy(false));
  };
  return (
    <button
      type="button"
      id={id}
      className={style.csv}
      aria-busy={isBusy || undefined}
      onClick={isBusy ? undefined : save}
    >
      <Icon name="download" /> Download CSV
    </button>
  );
}
