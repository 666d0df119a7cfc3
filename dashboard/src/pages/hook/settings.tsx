/** The tab HookSettings. */

import type { Hook } from "../../api/types.ts";

export function HookSettings({ hook }: { hook: Hook }) {
  return <p>{hook.name}</p>;
}
