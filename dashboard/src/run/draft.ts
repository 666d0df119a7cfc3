/** What a person has filled in and not sent, kept in this browser: it outlives a reload, and the tab. */

import type { Json } from "../api/types.ts";

const STORED = "everfold-draft:";
/** Of questions that were never answered here, the drafts that were touched last stay. */
const DRAFTS_MAX = 40;
const ORDER = "everfold-drafts";

/** Of this visit: also where the browser keeps nothing. */
const here = new Map<string, readonly Json[]>();

const nameOf = (run: string, key: string) => `${STORED}${run}:${key}`;

export function keptDraft(run: string, key: string, count: number): readonly Json[] | undefined {
  const name = nameOf(run, key);
  const kept = here.get(name) ?? stored(name);
  return kept?.length === count ? kept : undefined;
}

function stored(name: string): Json[] | undefined {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(name) ?? "null");
    return Array.isArray(kept) ? kept : undefined;
  } catch {
    return undefined;
  }
}

/** False where the browser would not keep it. */
export function keepDraft(run: string, key: string, drafts: readonly Json[]): boolean {
  const name = nameOf(run, key);
  here.set(name, drafts);
  try {
    localStorage.setItem(name, JSON.stringify(drafts));
    const [kept, old] = split([name, ...names().filter((other) => other !== name)]);
    for (const one of old) localStorage.removeItem(one);
    localStorage.setItem(ORDER, JSON.stringify(kept));
    return true;
  } catch {
    return false;
  }
}

export function dropDraft(run: string, key: string) {
  const name = nameOf(run, key);
  here.delete(name);
  try {
    localStorage.removeItem(name);
    localStorage.setItem(ORDER, JSON.stringify(names().filter((other) => other !== name)));
  } catch {
    // What was never kept need not go.
  }
}

const split = (all: string[]) => [all.slice(0, DRAFTS_MAX), all.slice(DRAFTS_MAX)] as const;

function names(): string[] {
  const kept: unknown = JSON.parse(localStorage.getItem(ORDER) ?? "[]");
  return Array.isArray(kept) ? kept.filter((name) => typeof name === "string") : [];
}
