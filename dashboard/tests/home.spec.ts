/** The first page of who has been here before: what waits, what can be run, the hooks, and one field that finds it all. */

import type { Page } from "@playwright/test";
import { ACTIONS, answer, run } from "./action.ts";
import { beGuest, hookPage, makeHook } from "./hook.ts";
import { expect, test } from "./journey.ts";

const waiting = (page: Page) => page.getByRole("table", { name: "Waiting for you" });
const action = (page: Page, slug: string) => page.locator(`[data-pw-run-slug="${slug}"]`);
const results = (page: Page) => page.locator("main [data-pw-search-result]");

test("a question that waits stands first, live, and leads to its run", async ({ page }) => {
  await beGuest(page);
  await makeHook(page, { code: ACTIONS });
  await page.goto("/");
  await expect(action(page, "greet")).toBeVisible();
  await expect(waiting(page)).toHaveCount(0);

  const asked = await run(page, "greet");
  await expect(waiting(page).getByRole("row").filter({ hasText: "Whom to greet" })).toContainText("Greet somebody");
  await expect(page.getByRole("heading", { level: 2 }).first()).toHaveText("Waiting for you");
  await waiting(page).getByText("Whom to greet").click();
  await expect(page).toHaveURL(new RegExp(`/r/${asked.id}$`));

  await page.goBack();
  await expect(waiting(page)).toBeVisible();
  await answer(page, asked, "Ada");
  await expect(waiting(page)).toHaveCount(0);
});

test("what a program queued waits first, and to begin it takes it out of the queue", async ({ page }) => {
  await beGuest(page);
  await makeHook(page, { code: ACTIONS });
  const queued = await page.request.post("/api/actions/enqueue", {
    data: { slug: "greet", params: { from: "a shop" } },
  });
  expect(queued.status(), await queued.text()).toBe(200);
  await page.goto("/");
  await expect(waiting(page).getByRole("row").nth(1)).toContainText("queued");
  await page.locator('[data-pw-queued-action-slug="greet"] a').click();
  await expect(page).toHaveURL(/\/r\/[0-9a-f-]{36}$/);
  await expect(page.getByLabel("Whom to greet")).toBeVisible();
  await page.goto("/");
  await expect(waiting(page).getByText("Whom to greet")).toBeVisible();
  await expect(page.locator("[data-pw-queued-action-slug]")).toHaveCount(0);
});

test("actions are listed with what they are, and one is run by a click", async ({ page }) => {
  await beGuest(page);
  await makeHook(page, { code: ACTIONS });
  await page.goto("/");
  await expect(page.getByRole("listitem").filter({ has: action(page, "greet") })).toContainText(
    "Says hello to whom you like.",
  );
  await expect(action(page, "count")).toHaveText("count");
  await expect(action(page, "secret"), "an unlisted one is not shown").toHaveCount(0);
  await action(page, "greet").click();
  await expect(page).toHaveURL(/\/r\/[0-9a-f-]{36}$/);
  await expect(page.getByLabel("Whom to greet")).toBeVisible();
  await page.goto("/a/secret");
  await expect(page, "but it runs by its address").toHaveURL(/\/r\/[0-9a-f-]{36}$/);
});

test("two hooks with an action of one name make two groups, and a group has a page", async ({ page }) => {
  await beGuest(page);
  await makeHook(page, { name: "north", code: ACTIONS });
  await makeHook(page, { name: "south", code: ACTIONS });
  await page.goto("/");
  await expect(action(page, "north/greet")).toBeVisible();
  await page.locator('[data-pw-action-group="south"]').click();
  await expect(page).toHaveURL(/\/p\/south$/);
  await expect(action(page, "north/greet")).toHaveCount(0);
  await action(page, "south/greet").click();
  await expect(page.getByRole("heading", { level: 1, name: "Greet somebody" })).toBeVisible();
});

test("typing finds actions and hooks, and Enter runs the first", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page, { name: "greenhouse", code: ACTIONS });
  await page.goto("/");
  await expect(action(page, "greet")).toBeVisible();
  const search = page.getByRole("searchbox", { name: "Search" });
  await search.fill("gre");
  await expect(results(page)).toHaveText([/Greet somebody/, /greenhouse/]);
  await search.fill("hello");
  await expect(results(page), "by what is said of it, too").toHaveText([/Greet somebody/]);
  await search.fill("secret");
  await expect(page.getByText("No results found")).toBeVisible();
  await page.getByRole("button", { name: "Clear search" }).click();
  await expect(action(page, "greet")).toBeVisible();

  await search.fill("greenh");
  await search.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/hooks/${made.id}$`));
  await page.goto("/");
  await search.fill("greet");
  await expect(results(page)).toHaveCount(1);
  await search.press("ArrowDown");
  await expect(results(page).first()).toBeFocused();
  await page.keyboard.press("ArrowUp");
  await expect(search).toBeFocused();
  await search.press("Enter");
  await expect(page.getByLabel("Whom to greet")).toBeVisible();
});

test("the command bar runs actions and finds runs", async ({ page }) => {
  await beGuest(page);
  await makeHook(page, { name: "greenhouse", code: ACTIONS });
  const asked = await run(page, "greet");
  await page.goto("/settings");
  await page.keyboard.press("ControlOrMeta+k");
  const options = page.getByRole("dialog", { name: "Command bar" }).getByRole("option");
  await expect(options.filter({ hasText: "Whom to greet" })).toBeVisible();
  await page.keyboard.type("greet");
  await expect(options.first()).toHaveText("Run Greet somebody");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/r\/[0-9a-f-]{36}$/);
  expect(page.url()).not.toContain(asked.id);

  await page.keyboard.press("ControlOrMeta+k");
  await page.keyboard.type("history");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/history$/);
});

test("who has no action yet is given one to begin with, and runs it from the hook it is in", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const hook = hookPage(page);
  await page.goto("/");
  await page.getByRole("button", { name: "Add an action" }).click();
  await expect(page).toHaveURL(new RegExp(`/hooks/${made.id}$`));
  await expect(hook.code).toContainText("export const actions");
  await expect(page.getByText("not saved")).toBeVisible();
  await hook.button("Publish").click();
  await page.getByRole("link", { name: "Run greet" }).click();
  await page.getByLabel("Name").fill("Ada");
  await page.keyboard.press("ControlOrMeta+Enter");
  await expect(page.getByRole("heading", { name: "Hello, Ada" })).toBeVisible();
});
