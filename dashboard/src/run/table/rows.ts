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
  const [shown, setShown] = useState<Shown>(() => ({
    view: { queryTerm: "", sortColumn: null, sortDirection: null, offset: 0, pageSize },
    window: windowOf(first, 0),
  }));
  const [wanted, setWanted] = useState<View>();
  const [error, setError] = useState<string>();
  const view = wanted ?? shown.view;
  const newest = useRef<View>(undefined);
  const { look, all, asked } = useWindows(ask);

  const want = (next: View | undefined) => {
    newest.current = next;
    setWanted(next);
  };
  const show = (view: View, change: Partial<View>) => {
    const next = { ...view, ...change };
    if (isWhole || covers(shown, next)) {
      setShown(({ window }) => ({ view: next, window }));
      want(undefined);
      return;
    }
    want(next);
    // Whoever types or presses on meanwhile wants something newer, and what comes late takes nothing of it away.
    const isWanted = () => newest.current === next;
    const restMs = view.queryTerm === next.queryTerm ? 0 : REST_MS;
    look(next, beginOf(shown, next, first.isAsync), restMs, isWanted).then(
      (window) => {
        if (!window || newest.current === undefined) return;
        setShown({ view: next, window });
        setError(undefined);
        if (isWanted()) want(undefined);
      },
      (error: Error) => {
        if (!isWanted()) return;
        want(undefined);
        setError(error.message);
      },
    );
  };

  // What is here may be what another look at it left; and some tables fetch nothing before they are asked.
  const begin = useRef(() => {
    if (!isWhole && (first.isAsync || !isFromTheStart(first.data))) show(view, {});
  });
  useEffect(() => begin.current(), []);

  // How often a program tells what a table looks like is its own affair: what it tells last is what was asked for last.
  useEffect(() => {
    const offset = asked.current;
    if (isWhole || newest.current !== undefined || offset === undefined) return;
    setShown((shown) =>
      shown.window.rows === first.data ? shown : { view: shown.view, window: windowOf(first, offset) },
    );
  }, [first, isWhole, asked]);

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
    /** Nothing lies behind what is wanted, as far as is known. */
    isLast: total !== undefined && view.offset + pageSize >= total,
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
  const after = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const next = chain.current.then(work);
    chain.current = next.catch(() => {});
    return next;
  };
  /** Where the rows begin that were asked for last; nothing while all are fetched. */
  const asked = useRef<number>(undefined);
  const fetched = async (view: View) => windowOf((await ask(stateOf(view))).props as RowsProps, view.offset);
  const window = (view: View) => {
    asked.current = view.offset;
    return fetched(view);
  };
  const look = async (view: View, begin: number, restMs: number, isWanted: () => boolean) => {
    if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
    return after(async () => {
      if (!isWanted()) return undefined;
      const found = await window({ ...view, offset: begin });
      return begin === view.offset || reaches(found, view) ? found : window(view);
    });
  };
  const all = (view: View) =>
    after(async () => {
      const rows: Row[] = [];
      asked.current = undefined;
      for (;;) {
        const batch = await fetched({ ...view, offset: rows.length, pageSize: BATCH });
        rows.push(...batch.rows);
        const isLast = batch.total === undefined ? batch.rows.length < BATCH : rows.length >= batch.total;
        if (isLast || batch.rows.length === 0 || rows.length >= ROWS_MAX) break;
      }
      // The action goes back to where a person looks.
      await window(view);
      return rows;
    });
  return { look, all, asked };
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

type Shown = { view: View; window: Window };

function isAlike(view: View, next: View): boolean {
  if (view.queryTerm !== next.queryTerm) return false;
  return view.sortColumn === next.sortColumn && view.sortDirection === next.sortDirection;
}

function reaches({ begin, rows, total }: Window, { offset, pageSize }: View): boolean {
  const wanted = offset + pageSize;
  return offset >= begin && begin + rows.length >= Math.min(wanted, total ?? wanted);
}

const covers = ({ view, window }: Shown, next: View) => isAlike(view, next) && reaches(window, next);

/** Where several pages come at once, those before are asked for along with one by who goes backwards. */
function beginOf({ view, window }: Shown, next: View, isAsync = false): number {
  const isBackwards = isAlike(view, next) && next.offset < window.begin;
  if (isAsync || !isBackwards) return next.offset;
  return Math.max(0, next.offset - Math.max(0, window.rows.length - next.pageSize));
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
