/** Who may send and who may read: keys that are made, paused, played, revoked; and secrets that nobody reads back. */

import { createHash } from "node:crypto";
import { beGuest, folded, hookPage, makeHook, stateOf, writePath } from "./hook.ts";
import { expect, test } from "./journey.ts";

test("a key is paused, played and revoked, and the addresses obey at once", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=keys");
  const key = page.getByRole("list", { name: "Write keys" }).getByRole("listitem");
  await expect(key).toContainText(writePath(made));
  const write = async () => (await page.request.post(writePath(made), { data: { name: "tea" } })).status();

  await key.getByRole("button", { name: "Pause", exact: true }).click();
  await expect(key).toContainText("paused");
  expect(await write(), "a paused key swallows").toBe(202);
  await key.getByRole("button", { name: "Play", exact: true }).click();
  await expect(key).toContainText("live");
  expect(await write()).toBe(202);
  await folded(page, made, 1);
  expect(await stateOf(page, made), "what was swallowed is not there").toEqual({ total: 1, last: "tea" });

  await key.getByRole("button", { name: "Revoke", exact: true }).click();
  const asked = page.getByRole("dialog", { name: "Revoke this write key?" });
  await asked.getByRole("button", { name: "Cancel" }).click();
  expect(await write()).toBe(202);
  await key.getByRole("button", { name: "Revoke", exact: true }).click();
  await asked.getByRole("button", { name: "Revoke", exact: true }).click();
  await expect(page.getByText("No write key", { exact: true })).toBeVisible();
  await expect.poll(write, { timeout: 5_000 }).toBe(404);
});

test("a paused read key is unknown to readers, and undo brings it back", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=keys");
  const read = async () => (await page.request.get(`/read/${made.readKeys[0]}`)).status();
  expect(await read()).toBe(200);
  const key = page.getByRole("list", { name: "Read keys" }).getByRole("listitem");
  await key.getByRole("button", { name: "Pause", exact: true }).click();
  await expect.poll(read).toBe(404);
  await hook.button("Undo").click();
  await expect.poll(read).toBe(200);
});

test("new keys work, are copied whole, and are told how to be used", async ({ page, context }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=keys");
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await hook.button("New read key").click();
  await hook.button("New write key").click();
  const read = page.getByRole("list", { name: "Read keys" }).getByRole("listitem");
  const write = page.getByRole("list", { name: "Write keys" }).getByRole("listitem");
  await expect(read).toHaveCount(2);
  await expect(write).toHaveCount(2);
  await write
    .last()
    .getByRole("button", { name: /^Copy URL/ })
    .click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect((await page.request.post(copied, { data: { name: "new" } })).status()).toBe(202);

  const use = page.getByRole("region", { name: "Use it" });
  await use
    .getByRole("combobox", { name: "Key" })
    .selectOption({ label: (await read.last().getAttribute("aria-label")) ?? "" });
  for (const [language, words] of [
    ["curl", "curl"],
    ["JavaScript", "fetch("],
    ["Python", "import"],
    ["WebSocket", "/state-events"],
  ] as const) {
    await use.getByRole("radio", { name: language }).focus();
    await use.getByRole("radio", { name: language }).check({ force: true });
    await expect(use.getByRole("group", { name: new RegExp(`^${language} for`) })).toContainText(words);
  }
});

test("a secret is seen by the code and never again by anybody", async ({ page }) => {
  const value = "correct-horse-battery-staple";
  await beGuest(page);
  const code =
    "function reducer(state, request, secrets) { return { known: Object.keys(secrets), length: secrets.TOKEN?.length ?? 0 }; }";
  const made = await makeHook(page, { code });
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=secrets");
  await page.getByLabel("Name", { exact: true }).fill("TOKEN");
  await page.getByLabel("Value", { exact: true }).fill(value);
  await expect(page.getByLabel("Value", { exact: true })).toHaveAttribute("type", "password");
  await hook.button("Save").click();
  const row = page.getByRole("table", { name: "Secrets" }).getByRole("row").filter({ hasText: "TOKEN" });
  await expect(row).toContainText(createHash("sha256").update(value).digest("hex").slice(0, 8));
  await expect(page.getByLabel("Value", { exact: true })).toHaveValue("");

  const told: string[] = [];
  page.on("response", async (response) => told.push(await response.text().catch(() => "")));
  await page.reload();
  await expect(row).toBeVisible();
  expect(await page.content()).not.toContain(value);
  expect(told.length).toBeGreaterThan(3);
  expect(
    told.some((words) => words.includes(value)),
    "no answer holds it",
  ).toBe(false);

  await page.request.post(writePath(made), { data: {} });
  await folded(page, made, 1);
  expect(await stateOf(page, made)).toEqual({ known: ["TOKEN"], length: value.length });
  await row.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog", { name: "Remove TOKEN?" }).getByRole("button", { name: "Remove" }).click();
  await expect(page.getByText("No secrets yet")).toBeVisible();
  await page.request.post(writePath(made), { data: {} });
  await folded(page, made, 2);
  expect(await stateOf(page, made)).toEqual({ known: [], length: 0 });
});

test("a secret without a name or a value is not saved, and it says why", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=secrets");
  await hook.button("Save").click();
  await expect(page.getByText("required", { exact: true })).toHaveCount(2);
  await expect(page.getByLabel("Name", { exact: true })).toHaveAttribute("aria-invalid", "true");
});
