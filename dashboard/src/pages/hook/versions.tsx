/** The tab Versions. */

import type { Hook } from "../../api/types.ts";

export function Versions({ hook }: { hook: Hook }) {
  return <p>{hook.name}</p>;
}
