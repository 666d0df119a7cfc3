/** Every page has an address that answers, with a title of its own, and a sentence for who runs no scripts. */

import { beGuest, makeHook } from "./hook.ts";
import { expect, refusal, test } from "./journey.ts";

const OWN = [
  "/",
  "/hooks",
  "/hooks/ID",
  "/a/users/create",
  "/r/ID",
  "/p/users",
  "/jobs",
  "/functions",
  "/functions/ID",
  "/history",
  "/settings",
  "/health",
];
const ADDRESSES = [...OWN, "/docs", "/dev/mail"];

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });

  test("each page answers with its own title and a sentence", async ({ page }) => {
    await beGuest(page);
    const made = await makeHook(page);
    const titles = new Set<string>();
    for (const address of ADDRESSES) {
      const answer = await page.goto(address.replace("ID", made.id));
      expect(answer?.status(), address).toBe(200);
      titles.add(await page.title());
      if (OWN.includes(address)) await expect(page.getByText(/JavaScript/)).toBeVisible();
    }
    expect(titles.size, [...titles].join(", ")).toBe(ADDRESSES.length);
  });

  test("an unknown address is not found, and says so", async ({ page, voice }) => {
    await voice.expecting([refusal(404)], async () => {
      const answer = await page.goto("/nowhere");
      expect(answer?.status()).toBe(404);
    });
    expect(await page.title()).toContain("Not found");
    await expect(page.getByText(/There is no page at this address/)).toBeVisible();
  });
});

test("each page gives itself the title that tells it from the others", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page, { name: "orders" });
  await page.goto(`/hooks/${made.id}`);
  await expect(page).toHaveTitle(/^orders/);
  // What the server said of the first page stays no longer than that page.
  const go = async (words: string, title: RegExp) => {
    await page.keyboard.press("ControlOrMeta+k");
    await page.keyboard.type(words);
    await page.keyboard.press("Enter");
    await expect(page).toHaveTitle(title);
  };
  await go("All hooks", /hooks/i);
  await go("History", /^History/);
  await go("Settings", /^Settings/);
  await go("Health", /^Health/);
  await go("Home", /^Everfold/);
});

test("an unknown address, and a hook that is not there, say so in words", async ({ page, voice }) => {
  await beGuest(page);
  await makeHook(page);
  await voice.expecting([refusal(404)], async () => {
    for (const path of ["/nowhere", "/hooks/0190d2f0-0000-7000-8000-000000000000", "/p/nowhere"]) {
      await page.goto(path);
      await expect(page.getByText("Not found")).toBeVisible();
      await expect(page).toHaveTitle(/Not found/);
    }
  });
  await page.getByRole("link", { name: "Go home" }).click();
  await expect(page.getByRole("table", { name: "Hooks" })).toBeVisible();
});

test("going back goes to where one was", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  await page.goto("/hooks");
  await page.getByRole("table", { name: "All hooks" }).getByText(made.name).click();
  await page.getByRole("tab", { name: "Keys" }).click();
  await expect(page).toHaveURL(/tab=keys/);
  await page.goBack();
  await expect(page.getByRole("tab", { name: "Requests" })).toHaveAttribute("aria-selected", "true");
  await page.goBack();
  await expect(page).toHaveURL(/\/hooks$/);
});

test("health says first whether all is well", async ({ page }) => {
  await beGuest(page);
  await makeHook(page);
  await page.goto("/health");
  await expect(page.getByText(/all is well/i)).toBeVisible();
});
