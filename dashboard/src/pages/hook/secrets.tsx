/** The tab Secrets. */

import type { Hook } from "../../api/types.ts";

export function Secrets({ hook }: { hook: Hook }) {
  return <p>{hook.name}</p>;
}
