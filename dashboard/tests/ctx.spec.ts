/** Every call of `ctx`, made by a program with @interval/sdk: what it says of who looks on, and what a person sees of it. */

import { expect, together as test } from "./run.ts";

test("ctx.user: who looks on", async ({ page, run }) => {
  await run.start("ctx_user");
  await run.gave({ role: "admin" });
  const { result } = await (await page.request.get(`/api/runs/${run.id}`)).json();
  expect(Object.keys(result).sort()).toEqual(["email", "firstName", "lastName", "role", "teams"]);
});

test("ctx.params: as the page was asked for", async ({ run }) => {
  await run.start("ctx_params", "?name=Ada&n=1");
  await run.gave({ name: "Ada", n: "1" });
});

test("ctx.environment", async ({ run }) => {
  await run.start("ctx_environment");
  await run.ends("Completed");
  await expect(run.result).toHaveText("production");
});

test("ctx.organization: its name and its slug", async ({ run }) => {
  await run.start("ctx_organization");
  await run.gave({ name: /./, slug: /./ });
});

test("ctx.action: its slug, and an address that starts it", async ({ run, server }) => {
  await run.start("ctx_action");
  await run.gave({ slug: "ctx_action", url: `${server.url}/a/ctx_action` });
});

test("ctx.page: what a page knows of itself and of who looks on; title, description and menu", async ({
  page,
  host: _,
}) => {
  await page.goto("/p/about?x=1");
  await expect(page.getByRole("heading", { level: 1, name: "About this page" })).toBeVisible();
  await expect(page.getByText("At about")).toBeVisible();
  for (const fact of ["about", "1", "production", "admin"]) {
    await expect(page.getByRole("definition").filter({ hasText: new RegExp(`^${fact}$`) })).toBeVisible();
  }
  await page.getByRole("link", { name: "Say a word" }).click();
  await expect(page.getByLabel("Name", { exact: true })).toBeVisible();
});

test("ctx.loading.start: that it is at work, in its own words", async ({ page, run }) => {
  await run.start("loading_start");
  const bar = page.getByRole("progressbar", { name: "Counting sheep" });
  await expect(bar).toBeVisible();
  await expect(bar).not.toHaveAttribute("aria-valuenow");
});

test("ctx.loading.update: other words, and as far as before", async ({ page, run }) => {
  await run.start("loading_update");
  const bar = page.getByRole("progressbar", { name: "Reducing" });
  await expect(bar).toHaveAttribute("aria-valuemax", "2");
  await expect(page.getByText("what was mapped")).toBeVisible();
  await expect(page.getByText("Mapping")).toHaveCount(0);
});

test("ctx.loading.completeOne: how far it is, in a bar and in words", async ({ page, run }) => {
  await run.start("long_work");
  const bar = page.getByRole("progressbar", { name: "Working" });
  await expect(bar).toHaveAttribute("aria-valuenow", "1");
  await expect(page.getByText("Completed 1 of 2")).toBeVisible();
});

test("ctx.notify: told once, however often it is said", async ({ page, run }) => {
  await run.start("notify");
  await run.ends("Completed");
  const { objects } = await (await page.request.get("/api/notices")).json();
  expect(objects).toHaveLength(1);
  expect(objects[0]).toMatchObject({ title: "Refund", message: "$500 went back" });
});

test("ctx.log: in the order in which it was said", async ({ page, run }) => {
  await run.start("work");
  await expect(run.field("More?")).toBeVisible();
  await run.button("Logs").click();
  const lines = page.getByRole("list", { name: "Log lines" }).getByRole("listitem");
  await expect(lines).toHaveText([/first/, /second/]);
});

test("ctx.redirect: the page goes there, and the way back leads to the run", async ({ page, run }) => {
  await run.start("redirect");
  await expect(run.field("Name")).toBeVisible();
  await page.goBack();
  await run.ends("Redirected");
});
