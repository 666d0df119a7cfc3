/** The hook that who has none is given: once, however often and in however many tabs it is asked for. */

import { call } from "./http.ts";
import { createHook } from "./queries.ts";
import type { Hook, Page } from "./types.ts";

let making: Promise<Hook> | undefined;

export function firstHook(): Promise<Hook> {
  making ??= alone(make).finally(() => {
    making = undefined;
  });
  return making;
}

async function make(): Promise<Hook> {
  // Another tab may have been first.
  const { objects } = await call<Page<Hook>>("GET", "/api/hooks");
  return objects[0] ?? createHook({});
}

/** Pages that came without TLS have no locks of their own. */
function alone(work: () => Promise<Hook>): Promise<Hook> {
  return navigator.locks ? navigator.locks.request("everfold-first-hook", work) : work();
}
