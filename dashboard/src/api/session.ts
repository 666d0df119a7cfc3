/** Who is looking: everyone begins as a guest, and the cookies are renewed before anybody notices. */

import { callOnce, Problem } from "./http.ts";
import type { Me } from "./types.ts";

/** Two tabs that renew at once would each spend the other's token: one after the other, and the second looks first. */
export function recover(): Promise<void> {
  return navigator.locks ? navigator.locks.request("everfold-session", enter) : enter();
}

async function enter(): Promise<void> {
  if (await answered(callOnce<Me>("GET", "/api/auth/me"))) return;
  if (await answered(callOnce("POST", "/api/auth/refresh-token"))) return;
  await callOnce("POST", "/api/auth/guest-user");
}

/** False where the server does not know who is asking. */
async function answered(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (error instanceof Problem && error.status < 500) return false;
    throw error;
  }
}
