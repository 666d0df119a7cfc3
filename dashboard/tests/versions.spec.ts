/** Every version that was ever published, and the way back to it. */

import { beGuest, changeHook, COUNTER, hookPage, makeHook, publish, sendAll } from "./hook.ts";
import { expect, test } from "./journey.ts";

test("an old version is restored at once, and undo goes back to the one before", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const first = made.published?.version ?? 0;
  await sendAll(page, made, [{ name: "tea" }, { name: "jam" }]);
  await changeHook(page, made.id, { code: COUNTER.replace("+ 1", "+ 100") });
  await publish(page, made.id);
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=versions");
  const row = (version: number) =>
    page
      .getByRole("table", { name: "Versions" })
      .getByRole("row")
      .filter({ has: page.getByRole("cell", { name: String(version), exact: true }) });
  await expect(row(first)).toContainText("old");
  await expect(row(first + 1)).toContainText("published");

  await row(first).getByRole("button", { name: "Restore" }).click();
  await expect(hook.toast(`Going back to version ${first}`)).toBeVisible();
  await expect(row(first)).toContainText("published");
  await hook.tab("Requests").click();
  await expect(hook.line("total: 2")).toBeVisible();

  await hook.button("Undo").click();
  await expect(hook.line("total: 200")).toBeVisible();
});

test("a version shows its code, and what it changed", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const first = made.published?.version ?? 0;
  await changeHook(page, made.id, { code: COUNTER.replace("+ 1", "+ 100") });
  await publish(page, made.id);
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=versions");
  const table = page.getByRole("table", { name: "Versions" });
  await table
    .getByRole("row")
    .filter({ has: page.getByRole("cell", { name: String(first), exact: true }) })
    .click();
  const code = page.getByRole("region", { name: `Code of version ${first}` });
  await expect(code.getByRole("heading", { name: `Version ${first}` })).toBeVisible();
  await expect(code.locator(".cm-changedLine").first()).toContainText("state.total + 1,");
  await expect(code.locator(".cm-deletedChunk, .cm-deletedLine").first()).toContainText("state.total + 100");
  await code.getByRole("radio", { name: "Code" }).check({ force: true });
  await expect(code.locator(".cm-changedLine")).toHaveCount(0);
});
