/** The tab Console. */

import type { Hook } from "../../api/types.ts";

export function Console({ hook }: { hook: Hook }) {
  return <p>{hook.name}</p>;
}
