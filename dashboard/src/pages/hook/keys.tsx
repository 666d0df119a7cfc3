/** The tab Keys. */

import type { Hook } from "../../api/types.ts";

export function Keys({ hook }: { hook: Hook }) {
  return <p>{hook.name}</p>;
}
