/** The first minute: from an address typed in to a published change. */

import type { Page } from "@playwright/test";
import { beGuest, COUNTER, hookPage, makeHook, rewrite, sendAll, stateOf } from "./hook.ts";
import { expect, refusal, test } from "./journey.ts";

test("who opens the page for the first time has a hook that works, and nothing to fill in", async ({ page }) => {
  const hook = hookPage(page);
  await page.goto("/");
  await expect(page).toHaveURL(/\/hooks\/[0-9a-f-]{36}$/);
  await expect(page.getByRole("heading", { level: 1 })).not.toBeEmpty();
  await expect(page.getByText("No requests yet")).toBeVisible();

  await hook.button("Send request").click();
  await expect(hook.row(1).getByRole("cell", { name: "folded" })).toBeVisible();
  await expect(hook.row(1)).toContainText('{"name": "tea"}');
  await expect(hook.line("total: 1")).toBeVisible();
  await expect(hook.line("tea: 1")).toBeVisible();
});

test("a first visit in two tabs makes one hook", async ({ page, context }) => {
  // Slow enough that both see that there is none yet.
  await context.route("**/api/hooks", async (route) => {
    if (route.request().method() === "POST") await new Promise((done) => setTimeout(done, 1_000));
    await route.continue();
  });
  const other = await context.newPage();
  await Promise.all([page.goto("/"), other.goto("/")]);
  // Who comes second may find the hook in the list, or itself at the hook.
  const arrive = async (tab: Page) => {
    const arrived = tab.getByRole("table", { name: "Hooks" }).getByRole("link").or(tab.getByText("No requests yet"));
    await expect(arrived).toBeVisible();
  };
  await Promise.all([arrive(page), arrive(other)]);
  const { objects } = await (await page.request.get("/api/hooks")).json();
  expect(objects).toHaveLength(1);
});

test("a change is kept, tried out, published, and all that ever came is folded again", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  await sendAll(page, made, [{ name: "tea" }, { name: "milk" }, { name: "jam" }]);
  const hook = hookPage(page);
  await hook.open(made.id);
  await expect(hook.line("total: 3")).toBeVisible();

  await rewrite(hook.code, COUNTER.replace("state.total + 1", "state.total + 10"));
  await expect(page.getByText("not saved")).toBeVisible();
  await hook.button("Save").click();
  await expect(page.getByText("draft, not published")).toBeVisible();
  await page.reload();
  await expect(hook.code).toContainText("state.total + 10");
  await expect(hook.line("total: 3")).toBeVisible();

  await hook.button("Preview").click();
  const preview = page.getByRole("dialog", { name: "What publishing would change" });
  await expect(preview).toContainText("after 3 of 3 requests");
  const step = preview.getByRole("list", { name: "What would change" }).getByRole("listitem");
  await expect(step).toHaveText(/changed.*\/total.*3.*30/);
  await preview.getByRole("button", { name: "Close" }).click();
  await expect(hook.line("total: 3")).toBeVisible();

  await hook.button("Publish").click();
  await expect(hook.toast(/Version \d+ is published/)).toBeVisible();
  await expect(hook.line("total: 30")).toBeVisible();
  await expect(page.getByText(/version \d+ is published/, { exact: false }).first()).toBeVisible();
  expect(await stateOf(page, made)).toEqual({ total: 30, last: "jam" });
});

test("Preview names the requests on which the new code fails", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  await sendAll(page, made, [{ name: "tea" }, { name: "poison" }]);
  const hook = hookPage(page);
  await hook.open(made.id);
  await rewrite(
    hook.code,
    'function reducer(state, { body }) { if (body.name === "poison") throw new Error("no thanks"); return body; }',
  );
  await hook.button("Preview").click();
  await expect(hook.dialog).toContainText("request 2: Error: no thanks");
  await expect(hook.dialog).not.toContainText("request 1:");
});

test("the code from before does not come back while a draft is saved, and what is typed meanwhile stays", async ({
  page,
}) => {
  await beGuest(page);
  const made = await makeHook(page);
  const hook = hookPage(page);
  await hook.open(made.id);
  await rewrite(hook.code, COUNTER.replace("state.total + 1", "state.total + 10"));
  // The answer is known, and what the page knows of the hook is from before.
  const slow = `**/api/hooks/${made.id}`;
  await page.route(slow, async (route) => {
    if (route.request().method() === "GET") await new Promise((done) => setTimeout(done, 1_000));
    await route.continue();
  });
  const saved = page.waitForResponse((answer) => answer.request().method() === "PUT");
  await hook.button("Save").click();
  await saved;
  await hook.code.press("ControlOrMeta+End");
  await hook.code.pressSequentially("// mine");
  await expect(page.getByText("The draft is saved.")).toBeVisible();
  await expect(hook.code).toContainText("state.total + 10");
  await expect(hook.code).toContainText("// mine");
  await expect(page.getByText("not saved")).toBeVisible();
});

test("a syntax error is underlined at its place and said, and nothing is published", async ({ page, voice }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const hook = hookPage(page);
  await hook.open(made.id);
  await rewrite(hook.code, "function reducer(state, request) {\n  return state;\n}\nconst twice = = 2;\n");
  await voice.expecting([refusal(400)], async () => {
    await hook.button("Publish").click();
    await expect(page.getByRole("alert")).toContainText(/line 4|4:/);
  });
  await expect(hook.code.locator(".cm-line").nth(3).locator(".cm-lintRange-error")).toHaveText("=");
  await expect(hook.code.locator(".cm-lintRange-error")).toHaveCount(1);
  const { published } = await (await page.request.get(`/api/hooks/${made.id}`)).json();
  expect(published.version).toBe(made.published?.version);

  await rewrite(hook.code, COUNTER);
  await expect(page.getByRole("alert")).toHaveCount(0);
  await expect(hook.code.locator(".cm-lintRange-error")).toHaveCount(0);
});

test("the editor knows what a request holds, and offers it", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const hook = hookPage(page);
  await hook.open(made.id);
  await rewrite(hook.code, "function reducer(state, request) {\n  return request.");
  await page.keyboard.type("cr");
  await expect(page.getByRole("option", { name: "createdAt" })).toBeVisible();
});
