/** Which hooks were opened last in this browser: they come first. */

import type { Hook } from "./api/types.ts";

const STORED = "everfold-recent";
const RECENT_MAX = 50;

export function remember(id: string) {
  localStorage.setItem(STORED, JSON.stringify([id, ...recent().filter((other) => other !== id)].slice(0, RECENT_MAX)));
}

/** Those opened here, the last of them first; then the others, the newest first. */
export function byRecency(hooks: readonly Hook[]): Hook[] {
  const order = new Map(recent().map((id, index) => [id, index]));
  const rank = ({ id }: Hook) => order.get(id) ?? RECENT_MAX;
  return hooks.toSorted((one, other) => rank(one) - rank(other) || other.createdAt - one.createdAt);
}

function recent(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(STORED) ?? "[]");
    return Array.isArray(stored) ? stored.filter((id) => typeof id === "string") : [];
  } catch {
    return [];
  }
}
