/** Rows as a file of comma-separated values. */

import { plainWords } from "./cell.tsx";
import type { Row } from "./rows.ts";

export interface Column {
  label: string;
  accessorKey?: string;
}

/** Without a name of its own, a column is kept under its place. */
export const keyOf = (column: Column, place: number) => column.accessorKey ?? String(place);

export function csvOf(columns: Column[], rows: Row[]): string {
  const head = columns.map(({ label }) => field(label));
  const lines = rows.map(({ data }) => columns.map((column, place) => field(plainWords(data[keyOf(column, place)]))));
  return [head, ...lines].map((fields) => `${fields.join(",")}\r\n`).join("");
}

function field(words: string): string {
  // A spreadsheet would take these for formulas and run them.
  const isFormula = /^[=+\-@\t\r]/.test(words) && Number.isNaN(Number(words));
  const safe = isFormula ? `'${words}` : words;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function download(name: string, text: string) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = `${name.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "table"}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
