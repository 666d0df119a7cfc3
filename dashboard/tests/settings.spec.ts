/** What a hook is called, what can be taken along, and what is asked before it ends. */

import { readFile } from "node:fs/promises";
import { beGuest, hookPage, makeHook, sendAll, stateOf } from "./hook.ts";
import { expect, test } from "./journey.ts";

const THREE = [{ name: "tea" }, { name: "milk" }, { name: "jam" }];

test("an export imported again is the same hook: its state, its requests, its hashes", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page, { name: "to take along" });
  await sendAll(page, made, THREE);
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=settings");
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "Export" }).click(),
  ]);
  const file = await download.path();
  expect((await readFile(file)).length).toBeGreaterThan(100);

  await page.goto("/hooks");
  await page
    .getByLabel("An exported hook")
    .setInputFiles({ name: "hook.zst", mimeType: "application/zstd", buffer: await readFile(file) });
  await expect(hook.toast(/is here, with 3 requests/)).toBeVisible();
  await expect(page).not.toHaveURL(new RegExp(made.id));
  await expect(page).toHaveURL(/\/hooks\/[0-9a-f-]{36}/);
  await expect(hook.line("total: 3")).toBeVisible();
  const id = /\/hooks\/([0-9a-f-]{36})/.exec(page.url())?.[1];
  const imported = await (await page.request.get(`/api/hooks/${id}`)).json();
  expect(await stateOf(page, imported)).toEqual(await stateOf(page, made));
  const hashOf = async (id: string | undefined) =>
    (await (await page.request.get(`/api/hooks/${id}/requests/3`)).json()).hash;
  expect(await hashOf(id)).toBe(await hashOf(made.id));
});

test("what is no export is refused, and says so beside its name", async ({ page, voice }) => {
  await beGuest(page);
  await makeHook(page);
  await page.goto("/hooks");
  await voice.expecting([/status of 4\d\d .*import/], async () => {
    await page
      .getByLabel("An exported hook")
      .setInputFiles({ name: "cat.jpg", mimeType: "image/jpeg", buffer: Buffer.from("meow") });
    await expect(page.getByRole("alert")).toContainText("cat.jpg was not imported");
  });
});

test("a hook ends only when its name is typed", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page, { name: "orders" });
  await sendAll(page, made, THREE);
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=settings");
  await hook.button("Delete").click();
  const asked = page.getByRole("dialog", { name: "Delete this hook?" });
  await expect(asked).toContainText("3 requests");
  const answer = asked.getByRole("button", { name: "Delete" });
  await expect(answer).toBeDisabled();
  await asked.getByRole("textbox").fill("order");
  await expect(answer).toBeDisabled();
  await page.keyboard.press("Enter");
  await expect(asked).toBeVisible();
  await asked.getByRole("textbox").fill("orders");
  await answer.click();
  await expect(page).toHaveURL(/\/hooks$/);
  await expect(hook.toast("is deleted")).toBeVisible();
  expect((await page.request.get(`/api/hooks/${made.id}`)).status()).toBe(404);
});

test("Reset begins the log anew, and its numbers go on", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page, { name: "orders" });
  await sendAll(page, made, THREE);
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=settings");
  await hook.button("Reset").click();
  const asked = page.getByRole("dialog", { name: "Reset this hook?" });
  await expect(asked.getByRole("button", { name: "Reset" })).toBeDisabled();
  await asked.getByRole("textbox").fill("orders");
  await asked.getByRole("button", { name: "Reset" }).click();
  await expect(hook.toast("The log begins anew")).toBeVisible();
  await hook.tab("Requests").click();
  await expect(page.getByText("No requests yet")).toBeVisible();
  await hook.button("Send request").click();
  await expect(hook.row(4)).toBeVisible();
  await expect(hook.line("total: 1")).toBeVisible();
});

test("name and description are saved when the field is left, and undo brings the old ones back", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page, { name: "old name" });
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=settings");
  await page.getByLabel("Name", { exact: true }).fill("new name");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("new name");
  await expect(page).toHaveTitle(/^new name/);
  await hook.button("Undo").click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("old name");
  await page.getByLabel("Name", { exact: true }).fill("");
  await page.keyboard.press("Tab");
  await expect(page.getByText("required", { exact: true })).toBeVisible();
  await page.getByLabel("Description").fill("what it is for");
  await page.keyboard.press("Tab");
  await expect(hook.toast("The description is saved")).toBeVisible();
});

test("the log is verified, and its last hash shown", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  await sendAll(page, made, THREE);
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=settings");
  await hook.button("Verify the log").click();
  await expect(page.getByText(/the chain holds through request 3/)).toBeVisible();
  const { hash } = await (await page.request.get(`/api/hooks/${made.id}/verify`)).json();
  await expect(page.getByText(hash)).toBeVisible();
});
