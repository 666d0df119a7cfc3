/** The hooks somebody has: found, made, and seen at a glance. */

import { beGuest, makeHook, send, sendAll, folded } from "./hook.ts";
import { expect, test } from "./journey.ts";

test("the list tells of each hook whether it runs, what came last, and what failed", async ({ page }) => {
  await beGuest(page);
  const good = await makeHook(page, { name: "orders", description: "from the shop" });
  await sendAll(page, good, [{ name: "tea" }, { name: "jam" }]);
  const bad = await makeHook(page, { name: "payments", code: "function reducer() { throw new Error('no'); }" });
  await send(page, bad, {});
  await folded(page, bad, 1);
  await page.request.put(`/api/hooks/${bad.id}`, { data: { workflowState: "paused" } });
  await page.goto("/hooks");
  const row = (name: string) =>
    page.getByRole("table", { name: "All hooks" }).getByRole("row").filter({ hasText: name });
  await expect(row("orders")).toContainText(/from the shop.*live.*just now|live.*now/s);
  await expect(row("orders").getByRole("img", { name: "2 requests in the last 24 hours" })).toBeVisible();
  await expect(row("orders")).toContainText("none");
  await expect(row("payments")).toContainText("paused");
  await expect(row("payments").getByRole("cell").nth(4)).toHaveText("1");

  await page.getByRole("searchbox", { name: "Search hooks" }).fill("shop");
  await expect(row("payments")).toHaveCount(0);
  await expect(row("orders")).toBeVisible();
  await page.getByRole("searchbox", { name: "Search hooks" }).fill("nothing like it");
  await expect(page.getByText("No results found")).toBeVisible();
  await page.getByRole("button", { name: "Clear search" }).click();
  await row("payments").click();
  await expect(page).toHaveURL(new RegExp(`/hooks/${bad.id}`));
});

test("a new hook is made with nothing to fill in", async ({ page }) => {
  await beGuest(page);
  await makeHook(page, { name: "the first" });
  await page.goto("/");
  await expect(page.getByRole("table", { name: "Hooks" })).toContainText("the first");
  await page.getByRole("button", { name: "New hook" }).click();
  await expect(page).toHaveURL(/\/hooks\/[0-9a-f-]{36}$/);
  await expect(page.getByRole("textbox", { name: "Code" })).toContainText("reducer");
});

test("somebody else's hook is not found", async ({ page, browser, server, voice }) => {
  await beGuest(page);
  const stranger = await browser.newContext({ baseURL: server.url });
  const other = await stranger.newPage();
  await beGuest(other);
  const theirs = await makeHook(other, { name: "private" });
  await stranger.close();
  await voice.expecting([/status of 403/], async () => {
    await page.goto(`/hooks/${theirs.id}`);
    await expect(page.getByText("Not found")).toBeVisible();
  });
});
