/** A hook with something in it, made over the API before a person comes to look; and the parts of its page, by name. */

import type { Locator, Page } from "@playwright/test";
import type { Hook, Json } from "../src/api/types.ts";
import { expect } from "./journey.ts";

/** Counts, remembers the last name, and says so. */
export const COUNTER = `export function reducer(state = { total: 0, last: null }, request) {
  console.log("got", request.body?.name);
  return { total: state.total + 1, last: request.body?.name ?? null };
}
`;

/** From here on the browser is a guest of the server. */
export async function beGuest(page: Page) {
  const answer = await page.request.post("/api/auth/guest-user");
  expect(answer.status()).toBe(201);
}

export interface Made {
  name?: string;
  description?: string;
  code?: string;
}

/** A hook of whoever the browser is; its code is published. */
export async function makeHook(page: Page, made: Made = {}): Promise<Hook> {
  const { name = "orders", description = "", code = COUNTER } = made;
  const created = await page.request.post("/api/hooks", { data: {} });
  expect(created.status(), await created.text()).toBe(201);
  const { id } = (await created.json()) as Hook;
  await changeHook(page, id, { name, description, code });
  await publish(page, id);
  const hook = await page.request.get(`/api/hooks/${id}`);
  return (await hook.json()) as Hook;
}

export async function changeHook(page: Page, id: string, data: Made & { workflowState?: "live" | "paused" }) {
  const changed = await page.request.put(`/api/hooks/${id}`, { data });
  expect(changed.status(), await changed.text()).toBeLessThan(300);
}

/** Ends when the log is folded again. */
export async function publish(page: Page, id: string) {
  const published = await page.request.post(`/api/hooks/${id}/publish`);
  expect(published.status(), await published.text()).toBe(200);
  await expect
    .poll(async () => (await (await page.request.get(`/api/hooks/${id}/replay`)).json()).status)
    .not.toBe("running");
}

/** Who uses the addresses from outside: without the browser's cookies, whose the hook is. */
export async function send(page: Page, hook: Hook, body: Json, headers: Record<string, string> = {}) {
  const answer = await page.request.fetch(writePath(hook), { method: "POST", data: body, headers });
  return answer.status();
}

export async function sendAll(page: Page, hook: Hook, bodies: readonly Json[]) {
  for (const body of bodies) expect(await send(page, hook, body)).toBe(202);
  await folded(page, hook, bodies.length);
}

export async function folded(page: Page, hook: Hook, seq: number) {
  const answer = await page.request.get(`${readPath(hook)}?after=${seq}`);
  expect(answer.status()).toBe(200);
}

export async function stateOf(page: Page, hook: Hook): Promise<Json> {
  return (await page.request.get(readPath(hook))).json();
}

export const writePath = ({ writeKeys }: Hook) => `/write/${writeKeys[0]}`;
export const readPath = ({ readKeys }: Hook) => `/read/${readKeys[0]}`;

/** The page of a hook, as whoever looks at it or listens to it finds its parts. */
export function hookPage(page: Page) {
  const table = page.getByRole("table", { name: "Requests" });
  const state = page.getByRole("region", { name: "State", exact: true });
  const dialog = page.getByRole("dialog");
  return {
    open: (id: string, search = "") => page.goto(`/hooks/${id}${search}`),
    tab: (name: string) => page.getByRole("tab", { name, exact: true }),
    code: page.getByRole("textbox", { name: "Code", exact: true }),
    table,
    rows: table.getByRole("row").filter({ has: page.getByRole("cell") }),
    /** By the number that the request has. */
    row: (seq: number) =>
      table
        .getByRole("row")
        .filter({ has: page.getByRole("cell", { name: seq.toLocaleString("en-GB"), exact: true }) }),
    state,
    /** A line of the state: `total: 3`. */
    line: (words: string) => state.getByRole("treeitem").filter({ hasText: words }),
    time: page.getByRole("slider", { name: "Time" }),
    sheet: (seq: number) => page.getByRole("dialog", { name: `Request ${seq}`, exact: true }),
    dialog,
    button: (name: string) => page.getByRole("button", { name, exact: true }),
    toast: (words: string | RegExp) => page.getByRole("status").filter({ hasText: words }),
  };
}

/** As a person does it: everything is selected, and something else is pasted. */
export async function rewrite(code: Locator, words: string) {
  const page = code.page();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.evaluate((words) => navigator.clipboard.writeText(words), words);
  await code.click();
  await code.press("ControlOrMeta+a");
  await code.press("ControlOrMeta+v");
}
