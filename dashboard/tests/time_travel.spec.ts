/** The log as a place to travel: any request, and the state behind it. */

import { beGuest, hookPage, makeHook, sendAll } from "./hook.ts";
import { expect, test } from "./journey.ts";

const NAMES = ["tea", "milk", "jam", "salt", "oats"];
const MANY = Array.from({ length: 20 }, (_, index) => ({ name: NAMES[index % NAMES.length] ?? "" }));

test("the slider shows the state behind any request, and the address brings it back", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  await sendAll(page, made, MANY);
  const hook = hookPage(page);
  await hook.open(made.id);
  await expect(hook.line("total: 20")).toBeVisible();
  await expect(hook.time).toHaveAttribute("aria-valuetext", /now/);

  await hook.time.focus();
  await page.keyboard.press("Home");
  await expect(hook.line("total: 1")).toBeVisible();
  await expect(hook.state).toContainText("after request 1");
  for (let step = 0; step < 6; step++) await page.keyboard.press("ArrowRight");
  await expect(hook.line("total: 7")).toBeVisible();
  await expect(hook.line("last: ")).toContainText("milk");
  await expect(hook.row(7)).toHaveAttribute("aria-current", "true");
  await expect(page).toHaveURL(/[?&]at=7(&|$)/);

  await page.reload();
  await expect(hook.line("total: 7")).toBeVisible();
  await expect(hook.time).toHaveValue("7");

  await page.keyboard.press("Tab");
  await hook.time.focus();
  await page.keyboard.press("End");
  await expect(hook.line("total: 20")).toBeVisible();
  await expect(page).not.toHaveURL(/at=/);
});

test("who looks at the past stays there while requests arrive", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  await sendAll(page, made, MANY.slice(0, 5));
  const hook = hookPage(page);
  await hook.open(made.id, "?at=2");
  await expect(hook.line("total: 2")).toBeVisible();
  await page.request.post(`/write/${made.writeKeys[0]}`, { data: { name: "late" } });
  await expect(hook.row(6)).toBeVisible();
  await expect(hook.line("total: 2")).toBeVisible();
  await hook.button("Back to now").click();
  await expect(hook.line("total: 6")).toBeVisible();
});

test("a row opens the request: what came, what it changed, what the code said; and it can be sent again", async ({
  page,
}) => {
  await beGuest(page);
  const made = await makeHook(page);
  await sendAll(page, made, MANY.slice(0, 5));
  const hook = hookPage(page);
  await hook.open(made.id);
  await hook.row(3).click();
  const sheet = hook.sheet(3);
  await expect(sheet.getByRole("tree", { name: "Body" })).toContainText('name: "jam"');
  await expect(sheet.getByRole("region", { name: "Diff" })).toBeVisible();
  const diff = sheet.getByRole("list", { name: "Diff" });
  await expect(diff).toContainText(/changed\s*\/total\s*2\s*3/);
  await expect(diff).toContainText(/\/last.*milk.*jam/);
  await expect(sheet.getByRole("region", { name: "Console" })).toContainText("got jam");
  await expect(page).toHaveURL(/request=3/);
  await page.reload();
  await expect(sheet).toBeVisible();

  await sheet.getByRole("button", { name: "Earlier" }).click();
  await expect(hook.sheet(2).getByRole("tree", { name: "Body" })).toContainText('name: "milk"');
  await hook.sheet(2).getByRole("button", { name: "Resend" }).click();
  await expect(hook.toast("Sent again, as request 6")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(hook.row(6)).toContainText("milk");
  await expect(hook.line("total: 6")).toBeVisible();
  await hook.row(4).click();
  await hook.sheet(4).getByRole("button", { name: "Travel here" }).click();
  await expect(hook.line("total: 4")).toBeVisible();
});
