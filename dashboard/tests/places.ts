/** Every place a person can stand at, with a hook that has something to show everywhere. */

import type { Page } from "@playwright/test";
import type { Hook } from "../src/api/types.ts";
import { run } from "./action.ts";
import { beGuest, changeHook, folded, hookPage, makeHook, publish, send } from "./hook.ts";
import { expect } from "./journey.ts";

const CODE = `function reducer(state = { total: 0, last: null }, { body }) {
  if (body.name === "poison") throw new Error("this one cannot be eaten");
  console.warn("got", body.name);
  return { total: state.total + 1, last: body };
}
export const actions = {
  ask: { name: "Ask somebody", description: "and wait", handler: async (io) => io.input.text("What is it?") },
};
`;

/** A hook with a run that waits, requests, an error, words in the console, a secret, two versions and a draft. */
export async function furnished(page: Page): Promise<Hook> {
  await beGuest(page);
  const made = await makeHook(page, { name: "orders", description: "from the shop", code: CODE });
  for (const name of ["tea", "poison", "jam"]) await send(page, made, { name });
  await folded(page, made, 3);
  await run(page, "ask");
  await page.request.post(`/api/secrets/${made.id}`, { data: { key: "TOKEN", value: "secret" } });
  await changeHook(page, made.id, { code: CODE.replace("+ 1", "+ 2") });
  await publish(page, made.id);
  await changeHook(page, made.id, { code: CODE.replace("+ 1", "+ 3") });
  return made;
}

export interface Place {
  name: string;
  reach: (page: Page, hook: Hook) => Promise<void>;
}

const tab = (name: string, there: (page: Page) => Promise<void>): Place => ({
  name,
  reach: async (page, hook) => {
    await hookPage(page).open(hook.id, name === "requests" ? "" : `?tab=${name}`);
    await there(page);
  },
});

export const PAGES: Place[] = [
  {
    name: "home",
    reach: async (page) => {
      await page.goto("/");
      await expect(page.getByRole("table", { name: "Hooks" }).getByText("orders")).toBeVisible();
      await expect(page.getByRole("table", { name: "Waiting for you" }).getByText("What is it?")).toBeVisible();
    },
  },
  {
    name: "search",
    reach: async (page) => {
      await page.goto("/");
      await page.getByRole("searchbox").fill("ask");
      await expect(page.getByRole("list", { name: "Results" })).toBeVisible();
    },
  },
  {
    name: "history",
    reach: async (page) => {
      await page.goto("/history");
      await expect(page.getByRole("table", { name: "History" }).getByText("waiting")).toBeVisible();
    },
  },
  {
    name: "hooks",
    reach: async (page) => {
      await page.goto("/hooks");
      await expect(page.getByRole("table", { name: "All hooks" }).getByText("orders")).toBeVisible();
    },
  },
  {
    name: "settings",
    reach: async (page) => {
      await page.goto("/settings");
      await expect(page.getByText("No keys yet")).toBeVisible();
    },
  },
  {
    name: "health",
    reach: async (page) => {
      await page.goto("/health");
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      await page.waitForLoadState("networkidle");
    },
  },
  {
    name: "not found",
    reach: async (page) => {
      await page.goto("/nowhere");
      await expect(page.getByText("Not found")).toBeVisible();
    },
  },
];

export const TABS: Place[] = [
  tab("requests", async (page) => {
    await expect(hookPage(page).row(3)).toBeVisible();
    await expect(hookPage(page).code).toBeVisible();
    await expect(hookPage(page).line("total: ")).toBeVisible();
  }),
  tab("state", async (page) => {
    await expect(page.getByRole("img", { name: /total/ })).toBeVisible();
    await expect(page.getByRole("region", { name: "What readers get" }).getByRole("tree")).toBeVisible();
  }),
  tab("versions", async (page) => {
    await expect(page.getByRole("button", { name: "Restore" }).first()).toBeVisible();
    await expect(page.locator(".cm-content").last()).toBeVisible();
  }),
  tab("console", (page) => expect(page.getByRole("link", { name: "Request 3" }).first()).toBeVisible()),
  tab("keys", (page) => expect(page.getByRole("group", { name: /^curl for/ })).toBeVisible()),
  tab("secrets", (page) => expect(page.getByRole("cell", { name: "TOKEN" })).toBeVisible()),
  tab("settings", (page) => expect(page.getByRole("button", { name: "Delete" })).toBeVisible()),
];

/** What opens above a page. */
export const DIALOGS: Place[] = [
  {
    name: "a request",
    reach: async (page, hook) => {
      await hookPage(page).open(hook.id, "?request=3");
      await expect(hookPage(page).sheet(3).getByRole("list", { name: "Diff" })).toBeVisible();
    },
  },
  {
    name: "a failed request",
    reach: async (page, hook) => {
      await hookPage(page).open(hook.id, "?request=2");
      await expect(hookPage(page).sheet(2).getByRole("region", { name: "Error" })).toBeVisible();
    },
  },
  {
    name: "preview",
    reach: async (page, hook) => {
      await hookPage(page).open(hook.id);
      await hookPage(page).button("Preview").click();
      await expect(page.getByRole("list", { name: "What would change" })).toBeVisible();
    },
  },
  {
    name: "revoke a key",
    reach: async (page, hook) => {
      await hookPage(page).open(hook.id, "?tab=keys");
      await hookPage(page).button("Revoke").first().click();
      await expect(page.getByRole("dialog")).toBeVisible();
    },
  },
  {
    name: "delete",
    reach: async (page, hook) => {
      await hookPage(page).open(hook.id, "?tab=settings");
      await hookPage(page).button("Delete").click();
      await expect(page.getByRole("dialog")).toBeVisible();
    },
  },
  {
    name: "command bar",
    reach: async (page) => {
      await page.goto("/hooks");
      await expect(page.getByRole("table", { name: "All hooks" }).getByText("orders")).toBeVisible();
      await page.keyboard.press("ControlOrMeta+k");
      await expect(page.getByRole("dialog").getByRole("option").first()).toBeVisible();
    },
  },
  {
    name: "sign in",
    reach: async (page) => {
      await page.goto("/hooks");
      await page.getByRole("banner").getByRole("button", { name: "Sign in" }).click();
      await expect(page.getByRole("dialog")).toBeVisible();
    },
  },
  {
    name: "account menu",
    reach: async (page) => {
      await page.goto("/hooks");
      await page.getByRole("button", { name: /Account/ }).click();
      await expect(page.getByRole("menu")).toBeVisible();
    },
  },
];
