/** Who is looking: everyone begins as a guest, and the cookies are renewed before anybody notices. */

import { callOnce } from "./http.ts";
import type { Me } from "./types.ts";

let first: Promise<Me> | undefined;

/** Asked once, before anything else is. */
export function entered(): Promise<Me> {
  first ??= recover().catch((error: Error) => {
    first = undefined;
    throw error;
  });
  return first;
}

/** Two tabs that renew at once would each spend the other's token: one after the other. */
export function recover(): Promise<Me> {
  const enter = () => callOnce<Me>("POST", "/api/auth/session");
  return navigator.locks ? navigator.locks.request("everfold-session", enter) : enter();
}
