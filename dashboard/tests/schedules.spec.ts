/** Actions that run by themselves: set up from an action, told in words, paused, changed, taken away and brought back. */

import type { Page } from "@playwright/test";
import type { Schedule } from "../src/api/types.ts";
import { ACTIONS, run } from "./action.ts";
import { beGuest, makeHook } from "./hook.ts";
import { expect, refusal, test } from "./journey.ts";

const table = (page: Page) => page.getByRole("table", { name: "Schedules" });
const row = (page: Page, words: string) => table(page).getByRole("row").filter({ hasText: words });
const dialog = (page: Page) => page.getByRole("dialog");

test.use({ timezoneId: "Europe/Berlin" });

async function only(page: Page): Promise<Schedule> {
  const { objects } = await (await page.request.get("/api/schedules")).json();
  expect(objects).toHaveLength(1);
  return objects[0];
}

// The longest wait begins first, and the others are done meanwhile.
test("what was begun last is linked, a minute after it was scheduled", async ({ page }) => {
  test.setTimeout(120_000);
  await beGuest(page);
  await makeHook(page, { code: ACTIONS });
  for (const slug of ["count", "break"]) {
    const asked = { slug, cron: "* * * * *", timezone: "UTC" };
    expect((await page.request.post("/api/schedules", { data: asked })).status()).toBe(201);
  }
  await page.goto("/");
  await expect(row(page, "count")).toContainText("not yet");
  await expect(row(page, "count")).toContainText("success", { timeout: 80_000 });
  await expect(row(page, "break")).toContainText("failure");
  await row(page, "count").getByRole("link").click();
  await expect(page).toHaveURL(/\/r\/[0-9a-f-]{36}$/);
  await expect(page.getByRole("heading", { name: "count" })).toBeVisible();
});

test("an action is scheduled from where it is listed, in words and in the browser's own time zone", async ({
  page,
}) => {
  await beGuest(page);
  await makeHook(page, { code: ACTIONS });
  await page.goto("/");
  await expect(table(page)).toHaveCount(0);
  await page.getByRole("button", { name: "Schedule Greet somebody…" }).click();
  await expect(dialog(page).getByLabel("Time zone")).toHaveValue("Europe/Berlin");
  await dialog(page).getByLabel("Runs").selectOption("Every week");
  await dialog(page).getByLabel("Day", { exact: true }).selectOption("Friday");
  await dialog(page).getByLabel("At").fill("17:30");
  await dialog(page).getByLabel("Parameters").fill('{"from": "the clock"}');
  await dialog(page).getByRole("button", { name: "Schedule", exact: true }).click();

  await expect(page.getByText(/Greet somebody is scheduled. It runs next on Fri/)).toBeVisible();
  await expect(row(page, "Greet somebody")).toContainText("every Friday at 17:30");
  await expect(row(page, "Greet somebody")).toContainText(/Fri.*17:30, Europe\/Berlin/);
  await expect(page).toHaveURL(/\/$/);
  const { cron, timezone, params } = await only(page);
  expect({ cron, timezone, params }).toEqual({
    cron: "30 17 * * 5",
    timezone: "Europe/Berlin",
    params: { from: "the clock" },
  });
});

test("an expression that is none is said at its field, and one that is becomes the schedule", async ({
  page,
  voice,
}) => {
  await beGuest(page);
  await makeHook(page, { code: ACTIONS });
  const { id } = await run(page, "count");
  await page.goto(`/r/${id}`);
  await page.getByRole("button", { name: "Schedule…" }).click();
  await dialog(page).getByLabel("Runs").selectOption("Cron expression");
  const cron = dialog(page).getByLabel("Cron expression");
  await expect(cron, "what was chosen before").toHaveValue("0 9 * * *");
  await cron.fill("0 9 * *");
  await voice.expecting([refusal(400)], async () => {
    await dialog(page).getByRole("button", { name: "Schedule", exact: true }).click();
    await expect(dialog(page).locator('[data-pw="field-error"]')).toContainText("0 9 * * MON-FRI");
  });
  await cron.fill("*/10 8-18 * * MON-FRI");
  await dialog(page).getByRole("button", { name: "Schedule", exact: true }).click();
  await expect(dialog(page)).toHaveCount(0);
  await page.goto("/");
  await expect(row(page, "count")).toContainText("*/10 8-18 * * MON-FRI");
});

test("a schedule is changed, paused, resumed, deleted and brought back", async ({ page }) => {
  await beGuest(page);
  await makeHook(page, { code: ACTIONS });
  const asked = { slug: "count", cron: "0 9 * * *", timezone: "Asia/Tokyo" };
  expect((await page.request.post("/api/schedules", { data: asked })).status()).toBe(201);
  await page.goto("/");
  await row(page, "every day at 09:00").click();
  await expect(dialog(page).getByLabel("At")).toHaveValue("09:00");
  await dialog(page).getByLabel("Runs").selectOption("Every hour");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await expect(row(page, "every hour")).toContainText("Asia/Tokyo");

  await page.getByRole("button", { name: "Pause count" }).click();
  await expect(row(page, "count")).toContainText("paused");
  await page.getByRole("button", { name: "Resume count" }).click();
  await expect(row(page, "count")).toContainText("Asia/Tokyo");
  const before = await only(page);

  await page.getByRole("button", { name: "Delete schedule of count" }).click();
  await expect(table(page)).toHaveCount(0);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(row(page, "every hour")).toBeVisible();
  const { id, createdAt, ...again } = await only(page);
  expect({ ...before, id, createdAt }).toEqual({ ...again, id, createdAt });
});
