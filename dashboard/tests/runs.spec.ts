/** A run of a program with @interval/sdk, whatever happens to it: errors, reloads, a second tab, kills of either side. */

import AxeBuilder from "@axe-core/playwright";
import { makeHook } from "./hook.ts";
import { expect, test } from "./run.ts";

test("an action that throws says so", async ({ run }) => {
  await run.start("fails");
  await run.ends("Error");
  await expect(run.result).toContainText("kaput");
});

test("Cancel run", async ({ run }) => {
  await run.start("text");
  await run.button("Cancel run").click();
  await run.ends("Cancelled");
});

test("a draft survives a reload, and is gone when it was answered", async ({ page, run }) => {
  await run.start("group_named");
  await run.field("Name").fill("Ada");
  await run.field("Sure").check();
  await page.reload();
  await expect(run.field("Name")).toHaveValue("Ada");
  await expect(run.field("Sure")).toBeChecked();
  await page.keyboard.press("ControlOrMeta+Enter");
  await run.gave({ name: "Ada", sure: "true" });
  await expect
    .poll(() => page.evaluate(() => Object.keys(localStorage).filter((name) => name.startsWith("everfold-draft:"))))
    .toEqual([]);
});

test("two tabs: the first answer wins, and the other is told", async ({ page, run, context }) => {
  await run.start("ten");
  const other = await context.newPage();
  await other.goto(page.url());
  await other.getByLabel("Step 0").fill("1");
  await run.field("Step 0").fill("2");
  await other.locator('button[data-pw="continue-button"]').click();
  await expect(page.getByText("answered elsewhere")).toBeVisible();
  await expect(run.field("Step 1")).toBeVisible();
  await expect(other.getByLabel("Step 1")).toBeVisible();
  await expect(other.getByText("answered elsewhere")).toHaveCount(0);
});

test("a server that is killed at each question of ten, and started again: the page goes on", async ({
  server,
  page,
  run,
  voice,
}) => {
  test.setTimeout(180_000);
  await run.start("ten");
  await voice.whileAway(async () => {
    for (let step = 0; step < 10; step++) {
      await expect(run.field(`Step ${step}`)).toBeVisible();
      await server.kill();
      await expect(page.getByText("reconnecting")).toBeVisible();
      await server.startAgain();
      await expect(page.getByText("reconnecting")).toHaveCount(0);
      // The program looks for its server on its own, and the page for the program every three seconds.
      await expect(page.getByText("offline", { exact: true })).toHaveCount(0, { timeout: 20_000 });
      await run.field(`Step ${step}`).fill(String(step));
      await run.goOn.click();
    }
    await run.ends("Completed");
  });
});

test("a host that was killed while it waited: offline is said, an answer is kept", async ({ page, run, host }) => {
  await run.start("ten");
  await run.field("Step 0").fill("0");
  await run.goOn.click();
  await expect(run.field("Step 1")).toBeVisible();
  await host.kill();
  await expect(page.getByText("offline", { exact: true })).toBeVisible();
  await host.startAgain();
  // Two programs start on this machine, and the page looks every three seconds.
  await run.button("Resume").click({ timeout: 20_000 });
  await run.field("Step 1").fill("1");
  await run.goOn.click();
  await expect(run.field("Step 2")).toBeVisible();
});

test("Restart begins another run of what is over, and leads to it", async ({ page, run }) => {
  await run.start("text");
  const before = page.url();
  await run.button("Cancel run").click();
  await run.ends("Cancelled");
  await run.button("Restart").click();
  await expect(page).not.toHaveURL(before);
  await expect(page).toHaveURL(/\/r\/[0-9a-f-]{36}$/);
  await expect(run.field("Name")).toBeVisible();
  await expect(run.resultType).toHaveCount(0);
  await page.goto(before);
  await run.ends("Cancelled");
});

test("Abandon ends a run whose host died over it", async ({ page, run, host }) => {
  await run.start("ten");
  await run.field("Step 0").fill("0");
  await run.goOn.click();
  await expect(run.field("Step 1")).toBeVisible();
  await host.kill();
  await expect(page.getByText("offline", { exact: true })).toBeVisible();
  await host.startAgain();
  await run.button("Abandon").click({ timeout: 20_000 });
  await run.ends("Cancelled");
  await expect(run.button("Resume")).toHaveCount(0);
  await expect(page.getByRole("definition").filter({ hasText: /^0$/ }), "what was answered stays").toBeVisible();
});

test("a run whose code asks something else now says code changed, and is restarted", async ({ page, run }) => {
  const code = `export const actions = { when: async (io) => {
  const first = await io.input.text("On " + secrets.DAY);
  return first + (await io.input.text("Why"));
} };`;
  const made = await makeHook(page, { code });
  const say = (value: string) => page.request.post(`/api/secrets/${made.id}`, { data: { key: "DAY", value } });
  await say("Monday");
  await run.start("when");
  await run.field("On Monday").fill("at noon");
  await say("Tuesday");
  await run.goOn.click();
  await expect(page.getByText("code changed", { exact: true })).toBeVisible();
  await expect(run.button("Resume")).toHaveCount(0);
  const parked = page.url();
  // The line tells that this run is over before the reply names the next one.
  await page.route("**/restart", async (route) => {
    const reply = await route.fetch();
    await run.ends("Cancelled");
    await route.fulfill({ response: reply });
  });
  await run.button("Restart").click();
  await expect(run.field("On Tuesday")).toBeVisible();
  expect(page.url()).not.toBe(parked);
});

test("axe-core finds no violation in a run, light or dark, and none is wider than a phone", async ({ page, run }) => {
  test.setTimeout(100_000);
  await page.setViewportSize({ width: 375, height: 800 });
  const found: string[] = [];
  for (const slug of [
    "displays",
    "table",
    "group",
    "multiple",
    "search",
    "rich",
    "file",
    "sheet",
    "fails",
    "confirm",
  ]) {
    await run.start(slug);
    await expect(page.getByText("waiting for you").or(run.resultType)).toBeVisible();
    await expect(run.goOn.first().or(page.getByRole("dialog")).or(run.resultType)).toBeVisible();
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      const axe = new AxeBuilder({ page });
      // In the dark everything is as it was, but for the colours.
      if (colorScheme === "dark") axe.withRules(["color-contrast"]);
      const { violations } = await axe.analyze();
      for (const { id, nodes } of violations) found.push(`${slug} ${colorScheme} ${id}: ${nodes[0]?.html}`);
    }
    const isWider = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    if (isWider) found.push(`${slug} is wider than the window`);
  }
  expect(found).toEqual([]);
});
