/** Every place a person can stand at, with a hook that has something to show everywhere. */

import type { Page } from "@playwright/test";
import type { Hook, UserFunction } from "../src/api/types.ts";
import { run } from "./action.ts";
import { deploy, execute, FunctionPage, GREETER, makeFunction } from "./functions.ts";
import { beGuest, changeHook, folded, hookPage, makeHook, publish, send } from "./hook.ts";
import { submit } from "./jobs.ts";
import { expect } from "./journey.ts";

const CODE = `function reducer(state = { total: 0, last: null }, { body }) {
  if (body.name === "poison") throw new Error("this one cannot be eaten");
  console.warn("got", body.name);
  return { total: state.total + 1, last: body };
}
export const actions = {
  desk: new Page({
    name: "Desk",
    handler: async (display) =>
      new Layout({
        title: "The desk",
        description: "What lies on it",
        menuItems: [{ label: "Ask", route: "ask" }],
        children: [
          display.metadata("Figures", { layout: "card", data: [{ label: "Orders", value: 3 }] }),
          display.table("Orders", { data: [{ name: "tea", many: 2 }, { name: "jam", many: 4 }] }),
        ],
      }),
    routes: { close: async () => "closed" },
  }),
  ask: { name: "Ask somebody", description: "and wait", handler: async (io) => io.input.text("What is it?") },
};
`;

/** A hook with a run that waits, requests, an error, words in the console, a secret, two versions and a draft; a job; and a function. */
export async function furnished(page: Page): Promise<Hook> {
  await beGuest(page);
  const made = await makeHook(page, { name: "orders", description: "from the shop", code: CODE });
  for (const name of ["tea", "poison", "jam"]) await send(page, made, { name });
  await folded(page, made, 3);
  await run(page, "ask");
  const daily = { slug: "ask", cron: "0 9 * * *", timezone: "Europe/Berlin" };
  await page.request.post("/api/schedules", { data: daily });
  await page.request.post(`/api/secrets/${made.id}`, { data: { key: "TOKEN", value: "secret" } });
  await changeHook(page, made.id, { code: CODE.replace("+ 1", "+ 2") });
  await publish(page, made.id);
  await changeHook(page, made.id, { code: CODE.replace("+ 1", "+ 3") });
  await submit(page, { name: "six times seven", code: "console.log('so'); return input * 7", input: 6 });
  const greeter = await makeFunction(page, { runtime: "node", entrypoint: "index.mjs" });
  await page.request.post(`/api/functions/${greeter.id}/variables`, { data: { key: "GREETING", value: "Salve" } });
  await deploy(page, greeter, GREETER);
  await deploy(page, greeter, { ...GREETER, "more.txt": "more" });
  await execute(page, greeter, "/tea");
  return made;
}

async function theFunction(page: Page): Promise<UserFunction> {
  return (await (await page.request.get("/api/functions")).json()).objects[0];
}

const ofFunction = (name: string, tab: string, there: (of: FunctionPage) => Promise<void>): Place => ({
  name,
  reach: async (page) => {
    const of = new FunctionPage(page);
    await of.open(await theFunction(page), tab);
    await there(of);
  },
});

/** Where the link leads that was sent by mail. */
async function theLink(page: Page): Promise<string> {
  await page.request.post("/api/auth/signin", { data: { email: "ada@example.com" } });
  const mails = await (await page.request.get("/api/dev/mail")).json();
  return new URL(mails.at(-1).link).pathname;
}

export interface Place {
  name: string;
  /** Where the whole is too long to be gone through, what has one of each. */
  parts?: string[];
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
      await expect(page.getByRole("table", { name: "Schedules" }).getByText("Ask somebody")).toBeVisible();
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
    name: "a page of actions",
    reach: async (page) => {
      await page.goto("/p/desk");
      await expect(page.getByRole("table", { name: "Orders" }).getByText("jam")).toBeVisible();
      await expect(page.locator('[data-pw-run-slug="desk/close"]')).toBeVisible();
    },
  },
  {
    name: "an unknown action",
    reach: async (page) => {
      await page.goto("/a/nothing");
      await expect(page.getByText("Not found")).toBeVisible();
    },
  },
  {
    name: "mail",
    reach: async (page) => {
      await theLink(page);
      await page.goto("/dev/mail");
      await expect(page.getByRole("link", { name: "Open the link" }).first()).toBeVisible();
    },
  },
  {
    name: "a link to sign in",
    reach: async (page) => {
      await page.goto(await theLink(page));
      await expect(page.getByRole("button")).toHaveCount(1);
    },
  },
  {
    name: "docs",
    parts: ["main > header", "nav", "#write", "#createHook"],
    reach: async (page) => {
      await page.goto("/docs");
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
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
    name: "jobs",
    reach: async (page) => {
      await page.goto("/jobs");
      await expect(page.getByRole("table", { name: "Jobs" }).getByText("six times seven")).toBeVisible();
      await expect(page.getByRole("table", { name: "Workers" }).getByText("this tab")).toBeVisible();
      await expect(page.getByRole("textbox", { name: "Code" })).toBeVisible();
    },
  },
  {
    name: "functions",
    reach: async (page) => {
      await page.goto("/functions");
      await expect(page.getByRole("table", { name: "Functions" }).getByText("active")).toBeVisible();
      await expect(page.getByRole("table", { name: "Sandbox" }).getByRole("cell").first()).toBeVisible();
    },
  },
  ofFunction("a function", "", async (of) => {
    await of.send("/tea?name=Ada");
    await expect(of.answer.getByRole("tree")).toContainText("Ada");
    await expect(of.button("Roll back")).toBeVisible();
  }),
  ofFunction("a function's deployments", "deployments", (of) =>
    expect(of.deployments.getByText("active")).toBeVisible(),
  ),
  ofFunction("a function's executions", "executions", (of) =>
    expect(of.executions.getByText("completed").first()).toBeVisible(),
  ),
  ofFunction("a function's variables", "variables", (of) => expect(of.variables.getByText("Salve")).toBeVisible()),
  ofFunction("a function's settings", "settings", (of) => expect(of.button("Delete")).toBeVisible()),
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
    name: "a job",
    reach: async (page) => {
      await page.goto("/jobs");
      await page.getByRole("table", { name: "Jobs" }).getByText("six times seven").click();
      await expect(page.getByRole("dialog").getByText("so", { exact: true })).toBeVisible();
    },
  },
  {
    name: "new function",
    reach: async (page) => {
      await page.goto("/functions?new");
      await expect(page.getByRole("dialog").getByRole("radio").first()).toBeVisible();
    },
  },
  ofFunction("a deployment", "deployments", async (of) => {
    await of.deployments.getByRole("row").filter({ hasText: "ready" }).click();
    await expect(of.sheet.getByRole("heading", { name: "Build log" })).toBeVisible();
  }),
  ofFunction("an execution", "executions", async (of) => {
    await of.executions.getByRole("row").filter({ hasText: "/tea" }).first().click();
    await expect(of.sheet.getByRole("group", { name: "Logs" })).toBeVisible();
  }),
  ofFunction("run later", "executions", async (of) => {
    await of.button("Run later").click();
    await expect(of.sheet.getByLabel("When")).toBeVisible();
  }),
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
    name: "schedule",
    reach: async (page) => {
      await page.goto("/");
      await page.getByRole("table", { name: "Schedules" }).getByText("Ask somebody").click();
      await expect(page.getByRole("dialog").getByLabel("Time zone")).toHaveValue("Europe/Berlin");
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
