/** Pages of a connected program: what it shows there, the actions on them, and what is said while it is away. */

import { expect, test } from "./run.ts";

test("a page shows what its program put there, and its rows are gone through", async ({ page, run }) => {
  await page.goto("/");
  await page.locator('[data-pw-action-group="users"]').click();
  await expect(page).toHaveURL(/\/p\/users$/);
  await expect(page.getByRole("heading", { level: 1, name: "All users" })).toBeVisible();
  await expect(page).toHaveTitle("All users · Everfold");
  await expect(page.getByText("1 - 20 of 45")).toBeVisible();
  await run.button("Next page").click();
  await expect(page.getByText("21 - 40 of 45")).toBeVisible();
  await expect(run.table("All").getByText("Person 21")).toBeVisible();

  await page.locator('[data-pw-run-slug="users/create"]').click();
  await expect(run.field("New name")).toBeVisible();
});

test("a page without code of its own lists its actions, but none that is unlisted", async ({ page, host: _ }) => {
  await page.goto("/p/heading");
  await expect(page.getByRole("heading", { level: 1, name: "A heading" })).toBeVisible();
  await expect(page.getByText("Nothing here yet")).toBeVisible();
});

test("a program that goes away is said to be offline, and its page is here again when it is back", async ({
  page,
  host,
  voice,
}) => {
  await page.goto("/p/users");
  await expect(page.getByText("1 - 20 of 45")).toBeVisible();
  await voice.expecting([/^error: WebSocket connection to /], async () => {
    await host.kill();
    await expect(page.getByRole("main").getByText("offline").first()).toBeVisible({ timeout: 20_000 });
    await expect(page.getByText("1 - 20 of 45")).toHaveCount(0);
    await host.startAgain();
    await expect(page.getByText("1 - 20 of 45")).toBeVisible({ timeout: 20_000 });
  });
});

test("who connects a program sees what it brought, and whether it is there", async ({ page, host }) => {
  await page.goto("/settings");
  const connected = page.getByRole("table", { name: "Connected actions" });
  const row = connected.getByRole("row").filter({ hasText: "users/create" });
  await expect(row).toContainText("online");
  const code = page.getByRole("group", { name: "the code that connects" });
  await expect(code).toContainText("/websocket");
  await page.getByRole("button", { name: "Make a key" }).click();
  await expect(code).toContainText(/apiKey: "everfold_api_[0-9a-f]+"/);
  await expect(page.getByRole("table", { name: "API keys" })).toContainText("connected app");
  await host.kill();
  await expect(row).toContainText("offline", { timeout: 20_000 });
});
