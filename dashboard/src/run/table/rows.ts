/** The rows of a table or grid: a page of them, in an order, with words in them. Where all are here nothing is asked. */

import { useEffect, useRef, useState } from "react";
import type { Json, Target } from "../../api/types.ts";
import type { Ask } from "../component.ts";
import { cellWords } from "../displays/value.ts";

export type MenuItem = Target & { label: string; theme?: "default" | "danger"; disabled?: boolean };

export interface Row {
  key: string;
  data: Record<string, unknown>;
  menu?: MenuItem[];
  /** What a filter looks in, in lower case. */
  filterValue?: string;
}

export interface RowsProps {
  data: Row[];
  totalRecords?: number;
  defaultPageSize?: number;
  isAsync?: boolean;
}

/** Which rows a person looks at. */
export interface View {
  queryTerm: string;
  sortColumn: string | null;
  sortDirection: "asc" | "desc" | null;
  offset: number;
  pageSize: number;
}

/** Rows that came together, and which view they were asked for. */
interface Window {
  begin: number;
  rows: Row[];
  /** Of all that fit the filter; unknown where only the action could count them. */
  total: number | undefined;
}

/** So many are asked for at once by who wants them all. */
const BATCH = 500;
const ROWS_MAX = 100_000;
/** A filter is asked for when the typing rests. */
const REST_MS = 150;

export function useRows(first: RowsProps, pageSize: number, ask: Ask, isReadOnly: boolean) {
  const [isWhole] = useState(() => isReadOnly || holdsAll(first));
  const [shown, setShown] = useState<{ view: View; window: Window }>(() => ({
    view: { queryTerm: "", sortColumn: null, sortDirection: null, offset: 0, pageSize },
    window: windowOf(first, 0),
  }));
  const [wanted, setWanted] = useState<View>();
  const [error, setError] = useState<string>();
  const view = wanted ?? shown.view;
  const { look, all } = useWindows(ask);

  const show = (view: View, change: Partial<View>) => {
    const next = { ...view, ...change };
    if (isWhole || covers(shown, next)) {
      setShown(({ window }) => ({ view: next, window }));
      setWanted(undefined);
      return;
    }
    setWanted(next);
    look(next, view.queryTerm === next.queryTerm ? 0 : REST_MS).then(
      (window) => {
        if (!window) return;
        setShown({ view: next, window });
        setWanted(undefined);
        setError(undefined);
      },
      (error: Error) => {
        setWanted(undefined);
        setError(error.message);
      },
    );
  };

  // What is here may be what another look at it left; and some tables fetch nothing before they are asked.
  const begin = useRef(() => {
    if (!isWhole && (first.isAsync || !isFromTheStart(first.data))) show(view, {});
  });
  useEffect(() => begin.current(), []);

  const ordered = isWhole ? arranged(first.data, shown.view) : undefined;
  const at = shown.view.offset - shown.window.begin;
  const rows = ordered
    ? ordered.slice(shown.view.offset, shown.view.offset + pageSize)
    : shown.window.rows.slice(at, at + pageSize);
  const total = ordered ? ordered.length : shown.window.total;
  return {
    rows,
    /** The view that is shown, which is older than the one that is wanted. */
    shown: shown.view,
    view,
    total,
    hasNext: total === undefined ? rows.length >= pageSize : shown.view.offset + pageSize < total,
    isBusy: wanted !== undefined,
    isWhole,
    error,
    show: (change: Partial<View>) => show(view, change),
    /** Every row of this view, over all pages. */
    all: async (): Promise<Row[]> => ordered ?? (await all(view)),
  };
}

/** One asks at a time, and only for what is wanted last. */
function useWindows(ask: Ask) {
  const chain = useRef<Promise<unknown>>(Promise.resolve());
  const newest = useRef(0);
  const after = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const next = chain.current.then(work);
    chain.current = next.catch(() => {});
    return next;
  };
  const window = async (view: View) => windowOf((await ask(stateOf(view))).props as RowsProps, view.offset);
  const look = async (view: View, restMs: number): Promise<Window | undefined> => {
    newest.current += 1;
    const turn = newest.current;
    if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
    return after(async () => (turn === newest.current ? window(view) : undefined));
  };
  const all = (view: View) =>
    after(async () => {
      const rows: Row[] = [];
      for (;;) {
        const batch = await window({ ...view, offset: rows.length, pageSize: BATCH });
        rows.push(...batch.rows);
        const isLast = batch.total === undefined ? batch.rows.length < BATCH : rows.length >= batch.total;
        if (isLast || batch.rows.length === 0 || rows.length >= ROWS_MAX) break;
      }
      // The action goes back to where a person looks.
      await window(view);
      return rows;
    });
  return { look, all };
}

/** As the SDK reads it. */
export function stateOf({ queryTerm, sortColumn, sortDirection, offset, pageSize }: View): { [name: string]: Json } {
  return {
    ...(queryTerm && { queryTerm }),
    ...(sortColumn && sortDirection && { sortColumn, sortDirection }),
    offset,
    pageSize,
  };
}

const windowOf = ({ data, totalRecords }: RowsProps, begin: number): Window => ({
  begin,
  rows: data,
  total: totalRecords ?? undefined,
});

function holdsAll({ data, totalRecords, isAsync }: RowsProps): boolean {
  return !isAsync && data.length >= (totalRecords ?? 0) && isFromTheStart(data);
}

/** Keys count the rows as the action has them. */
const isFromTheStart = (data: Row[]) => data.every(({ key }, index) => key === String(index));

function covers({ view, window }: { view: View; window: Window }, next: View): boolean {
  if (view.queryTerm !== next.queryTerm) return false;
  if (view.sortColumn !== next.sortColumn || view.sortDirection !== next.sortDirection) return false;
  const end = window.begin + window.rows.length;
  const wanted = next.offset + next.pageSize;
  return next.offset >= window.begin && end >= Math.min(wanted, window.total ?? wanted);
}

/** As the SDK filters and sorts, so that it makes no difference who does it. */
function arranged(rows: Row[], { queryTerm, sortColumn, sortDirection }: View): Row[] {
  const words = queryTerm.trim().toLowerCase();
  const found = words ? rows.filter((row) => (row.filterValue ?? wordsOf(row)).includes(words)) : rows;
  if (!sortColumn || !sortDirection) return found;
  const sign = sortDirection === "asc" ? 1 : -1;
  return found.toSorted(
    (one, other) => sign * compare(sortable(one.data[sortColumn]), sortable(other.data[sortColumn])),
  );
}

const wordsOf = ({ data }: Row) => Object.values(data).map(wordsOfCell).join(" ").toLowerCase();

function wordsOfCell(cell: unknown): string {
  return typeof cell === "object" && cell !== null && "label" in cell ? cellWords(cell.label) : cellWords(cell);
}

function sortable(cell: unknown): unknown {
  if (typeof cell !== "object" || cell === null || cell instanceof Date) return cell;
  if ("value" in cell) return cell.value;
  return "label" in cell ? cell.label : cell;
}

function compare(one: unknown, other: unknown): number {
  if (one == null || other == null) return one == null ? (other == null ? 0 : 1) : -1;
  if (typeof one === "string" && typeof other === "string") {
    return one.localeCompare(other, undefined, { numeric: true });
  }
  return one < other ? -1 : one > other ? 1 : 0;
}
