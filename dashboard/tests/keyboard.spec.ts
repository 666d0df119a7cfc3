/** Without a mouse: everything by keys, the quickest of them Ctrl+K. */

import type { Page } from "@playwright/test";
import { beGuest, hookPage, makeHook, sendAll } from "./hook.ts";
import { expect, test } from "./journey.ts";

const focused = (page: Page) =>
  page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");

/** Tab, until what is wanted has the focus: as long as it takes, but not for ever. */
async function tabTo(page: Page, name: string | RegExp) {
  const seen: string[] = [];
  for (let step = 0; step < 60; step++) {
    // In the editor Tab indents, until Escape was pressed.
    if ((await focused(page)) === "Code") await page.keyboard.press("Escape");
    await page.keyboard.press("Tab");
    const words = (await focused(page)).trim();
    seen.push(words.slice(0, 40));
    if (typeof name === "string" ? words === name : name.test(words)) return;
  }
  throw new Error(`Tab never came to ${name}: ${seen.join(" | ")}`);
}

test("a hook is changed, published and read with keys alone", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  await sendAll(page, made, [{ name: "tea" }, { name: "jam" }]);
  const hook = hookPage(page);
  await hook.open(made.id);
  await expect(hook.code).toBeVisible();

  await page.keyboard.press("Tab");
  expect(await focused(page)).toBe("Skip to content");
  await page.keyboard.press("Enter");
  await tabTo(page, "Code");
  await page.keyboard.press("Tab");
  expect(await focused(page), "in the editor Tab indents").toBe("Code");
  await page.keyboard.press("ControlOrMeta+z");
  await page.keyboard.press("ControlOrMeta+Home");
  await page.keyboard.type("// by keys\n");
  await page.keyboard.press("ControlOrMeta+s");
  await expect(hook.toast("The draft is saved")).toBeVisible();
  expect((await (await page.request.get(`/api/hooks/${made.id}`)).json()).draft.code).toContain("// by keys");

  await page.keyboard.press("Escape");
  await page.keyboard.press("Tab");
  expect(await focused(page), "Escape lets Tab leave").not.toBe("Code");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Shift+Tab");
  expect(await focused(page)).toBe("Publish");
  await page.keyboard.press("Enter");
  await expect(hook.toast(/is published/)).toBeVisible();

  await tabTo(page, /folded/);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await expect(hook.sheet(1)).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(hook.sheet(1)).toHaveCount(0);
  expect(await focused(page), "focus goes back to the row").toContain("tea");
});

test("the focus stays near when what has it goes away by itself", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  await sendAll(page, made, [{ name: "tea" }]);
  let status = "running";
  await page.route("**/api/hooks/*/replay", (route) =>
    route.fulfill({ json: { status, done: 0, total: 1, perSecond: 0, etaSeconds: null } }),
  );
  const hook = hookPage(page);
  await hook.open(made.id);
  await hook.button("Cancel").focus();
  status = "done";
  await expect(hook.button("Cancel")).toHaveCount(0);
  expect(await focused(page)).toBe("Publish");
});

test("tabs, the state and the slider are moved in by arrow keys", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page, {
    code: "function reducer(state, { body }) { return { deep: { down: { here: body } } }; }",
  });
  await sendAll(page, made, [{ name: "tea" }]);
  const hook = hookPage(page);
  await hook.open(made.id);
  await hook.tab("Requests").focus();
  await page.keyboard.press("ArrowRight");
  await expect(hook.tab("State")).toHaveAttribute("aria-selected", "true");
  await expect(page).toHaveURL(/tab=state/);
  const tree = hook.state.getByRole("tree");
  await tree.focus();
  const current = tree.locator('[role="treeitem"][aria-selected="true"]');
  await page.keyboard.press("End");
  await expect(current).toContainText("down");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("End");
  await expect(current).toContainText("here");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowLeft");
  await expect(tree.getByRole("treeitem")).toHaveCount(1);
});

test("the focus is seen wherever it stands", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  await sendAll(page, made, [{ name: "tea" }]);
  await hookPage(page).open(made.id);
  await expect(hookPage(page).row(1)).toBeVisible();
  const unseen: string[] = [];
  for (let step = 0; step < 30; step++) {
    await page.keyboard.press("Tab");
    if ((await focused(page)) === "Code") await page.keyboard.press("Escape");
    const isSeen = await page.evaluate(() => {
      const seen = (element: Element | null, depth = 0): boolean => {
        if (!element || depth > 2) return false;
        const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
        if ((outlineStyle !== "none" && Number.parseFloat(outlineWidth) > 0) || boxShadow !== "none") return true;
        return seen(element.parentElement, depth + 1);
      };
      const { activeElement } = document;
      return activeElement === document.body || activeElement?.closest(".cm-editor") !== null || seen(activeElement);
    });
    if (!isSeen) unseen.push(await focused(page));
  }
  expect(unseen).toEqual([]);
});

test("Ctrl+K, a few letters, Enter: the first that is found is run", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page, { name: "payments" });
  await makeHook(page, { name: "orders" });
  await page.goto("/hooks");
  await expect(page.getByRole("table", { name: "All hooks" })).toContainText("payments");
  await page.keyboard.press("ControlOrMeta+k");
  const bar = page.getByRole("dialog", { name: "Command bar" });
  await expect(bar).toBeVisible();
  await page.keyboard.type("paym");
  await expect(bar.getByRole("option").first()).toHaveText(/payments/);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/hooks/${made.id}$`));
  await expect(bar).toHaveCount(0);

  await page.keyboard.press("ControlOrMeta+k");
  await page.keyboard.type("secrets");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/hooks/${made.id}\\?tab=secrets$`));

  await page.keyboard.press("ControlOrMeta+k");
  await page.keyboard.type("zzzzqqq");
  await expect(bar).toContainText("No results found");
  await page.keyboard.press("Escape");
  await expect(bar).toHaveCount(0);

  await page.keyboard.press("ControlOrMeta+k");
  await page.keyboard.type("settings");
  await expect(bar.getByRole("option").first()).toBeVisible();
  await page.keyboard.press("Escape");
});

test("the command bar does what the page can do", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const hook = hookPage(page);
  await hook.open(made.id);
  await expect(hook.code).toBeVisible();
  for (const words of ["Send request", "Publish"]) {
    await page.keyboard.press("ControlOrMeta+k");
    await page.keyboard.type(words);
    await expect(page.getByRole("dialog").getByRole("option").first()).toHaveText(new RegExp(words));
    await page.keyboard.press("Enter");
  }
  await expect(hook.toast(/is published/)).toBeVisible();
  await expect(hook.row(1)).toBeVisible();
});
