/** From a guest to somebody: by a link that comes by mail, with everything brought along. */

import type { Page } from "@playwright/test";
import { beGuest, makeHook, sendAll } from "./hook.ts";
import { expect, refusal, test } from "./journey.ts";

test("a guest signs in by mail link and keeps the hooks; Sign out ends it", async ({ page, voice }) => {
  await beGuest(page);
  const made = await makeHook(page, { name: "kept through it all" });
  await sendAll(page, made, [{ name: "tea" }]);
  await page.goto("/hooks");
  const header = page.getByRole("banner");
  await header.getByRole("button", { name: "Sign in" }).click();
  const dialog = page.getByRole("dialog", { name: "Sign in" });
  await expect(dialog.getByLabel("E-mail")).toBeFocused();
  await page.keyboard.type("ada@example.com");
  await page.keyboard.press("Enter");
  await expect(dialog).toContainText("on its way to ada@example.com");

  await dialog.getByRole("link", { name: /\/dev\/mail/ }).click();
  await expect(page).toHaveURL(/\/dev\/mail$/);
  await page.getByRole("link", { name: "Open the link" }).first().click();
  await expect(page).toHaveURL(/\/signin\/./);
  await expect(page.getByRole("button")).toHaveCount(1);
  const link = page.url();
  await page.getByRole("button").click();

  await expect(page).toHaveURL(/:\d+\/$/);
  await expect(page.getByRole("table", { name: "Hooks" })).toContainText("kept through it all");
  const account = header.getByRole("button", { name: /Account/ });
  await expect(account).toContainText("ada@example.com");

  await voice.expecting([refusal(400)], async () => {
    await page.goto(link);
    await page.getByRole("button").click();
    await expect(page.getByRole("heading", { name: "Not signed in" })).toBeVisible();
  });

  await page.goto("/hooks");
  await account.click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByText("You are signed out")).toBeVisible();
  await expect(header.getByRole("button", { name: "Sign in" })).toBeVisible();
  await expect(page.getByText("kept through it all")).toHaveCount(0);
});

test("what is no address is said beside the field", async ({ page }) => {
  await beGuest(page);
  await page.goto("/settings");
  await page.getByLabel("E-mail").fill("nobody");
  await page.getByLabel("E-mail").press("Enter");
  await expect(page.getByLabel("E-mail")).toBeFocused();
  await expect(page.getByText("on its way")).toHaveCount(0);
});

test("an API key is shown once, reads what its owner has, and is nobody's when it was revoked", async ({
  page,
  playwright,
  baseURL,
}) => {
  await beGuest(page);
  const made = await makeHook(page);
  await page.goto("/settings");
  const section = page.getByRole("region", { name: "API keys" });
  await section.getByLabel("Name").fill("ci");
  await section.getByRole("button", { name: "New key" }).click();
  const shown = section.getByRole("group", { name: /key/i });
  await expect(shown).not.toBeEmpty();
  const key = (await shown.textContent())?.trim() ?? "";
  await expect(section.getByRole("table").getByRole("row").filter({ hasText: "ci" })).toBeVisible();
  // A program has no cookie.
  const program = await playwright.request.newContext({
    baseURL,
    extraHTTPHeaders: { authorization: `Bearer ${key}` },
  });
  const read = await program.get("/api/hooks");
  expect(read.status()).toBe(200);
  expect((await read.json()).objects).toMatchObject([{ id: made.id }]);
  await page.reload();
  await expect(section.getByRole("table")).toContainText("ci");
  expect(await page.content()).not.toContain(key);
  await section.getByRole("button", { name: "Revoke ci" }).click();
  await page.getByRole("dialog", { name: "Revoke key" }).getByRole("button", { name: "Revoke" }).click();
  await expect(section).toContainText("No keys yet");
  expect((await program.get("/api/hooks")).status()).toBe(401);
  await program.dispose();
});

test("who signed in first owns the server's settings, and closes it to guests", async ({ page, browser, server }) => {
  await beGuest(page);
  await signIn(page, "owner@example.com");
  await page.goto("/settings");
  const closed = page.getByRole("checkbox", { name: "Closed to guests" });
  await closed.click();
  await expect(closed).toBeChecked();
  await expect(page.getByText("The server is closed to guests.")).toBeVisible();

  const stranger = await browser.newContext({ baseURL: server.url });
  const other = await stranger.newPage();
  await other.goto("/");
  await expect(other.getByRole("heading", { name: "Sign in to Everfold" })).toBeVisible();
  await expect(other.getByLabel("E-mail")).toBeVisible();
  await stranger.close();

  await page.getByRole("button", { name: "Undo" }).click();
  await expect(closed).not.toBeChecked();
});

async function signIn(page: Page, email: string) {
  await page.request.post("/api/auth/signin", { data: { email } });
  const mails = await (await page.request.get("/api/dev/mail")).json();
  await page.goto(new URL(mails.at(-1).link).pathname);
  await page.getByRole("button").click();
  await expect(page).toHaveURL(/:\d+\/$/);
}
