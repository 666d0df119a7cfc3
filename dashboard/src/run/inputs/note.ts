/** What stands beside a label: that it may be left empty, and its bounds. */

import type { Shown } from "../component.ts";

export function noteOf({ isOptional }: Shown, bounds?: string): string | undefined {
  return [isOptional && "optional", bounds].filter(Boolean).join(", ") || undefined;
}

/** "1 to 3", "at least 1", "at most 3". */
export function between(min: number | undefined, max: number | undefined, what = ""): string | undefined {
  const words = (bounds: string) => [bounds, what].filter(Boolean).join(" ");
  if (min !== undefined && max !== undefined) return words(min === max ? `${min}` : `${min} to ${max}`);
  if (min !== undefined) return words(`at least ${min}`);
  return max === undefined ? undefined : words(`at most ${max}`);
}
