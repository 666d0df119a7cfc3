/** At the width of a phone nothing is cut off, and everything is within reach. */

import type { Page } from "@playwright/test";
import { hookPage } from "./hook.ts";
import { expect, refusal, test } from "./journey.ts";
import { DIALOGS, furnished, PAGES, TABS } from "./places.ts";

test.use({ viewport: { width: 375, height: 740 }, hasTouch: true, isMobile: true });

test("no page, tab or dialog scrolls sideways", async ({ page, voice }) => {
  test.setTimeout(150_000);
  const hook = await furnished(page);
  const wide: string[] = [];
  await voice.expecting([refusal(404)], async () => {
    for (const place of [...PAGES, ...TABS, ...DIALOGS]) {
      await place.reach(page, hook);
      for (const words of await beyond(page)) wide.push(`${place.name}: ${words}`);
    }
  });
  expect(wide).toEqual([]);
});

test("everything a hook's page has is reached with a thumb", async ({ page }) => {
  const made = await furnished(page);
  const hook = hookPage(page);
  await hook.open(made.id);
  for (const name of ["Save", "Preview", "Publish", "Send request", "Pause"]) {
    await hook.button(name).scrollIntoViewIfNeeded();
    await expect(hook.button(name)).toBeInViewport();
  }
  await hook.code.scrollIntoViewIfNeeded();
  await expect(hook.code).toBeInViewport();
  await hook.button("Send request").tap();
  await hook.row(4).scrollIntoViewIfNeeded();
  await hook.row(4).tap();
  await expect(hook.sheet(4)).toBeInViewport();
  await hook.sheet(4).getByRole("button", { name: "Resend" }).tap();
  await hook.sheet(4).getByRole("button", { name: "Close" }).tap();
  for (const name of ["State", "Versions", "Console", "Keys", "Secrets", "Settings"]) {
    await hook.tab(name).tap();
    await expect(hook.tab(name)).toHaveAttribute("aria-selected", "true");
  }
  await hook.button("Delete").scrollIntoViewIfNeeded();
  await hook.button("Delete").tap();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).tap();
});

test("the menu holds what the narrow header has no room for", async ({ page }) => {
  await furnished(page);
  await page.goto("/hooks");
  await page.getByRole("button", { name: /Account/ }).tap();
  await page.getByRole("menuitem", { name: "Docs" }).tap();
  await expect(page).toHaveURL(/\/docs$/);
});

/** The page itself stays as wide as its window; and nothing that can be pressed sticks out of it for good. */
function beyond(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const found: string[] = [];
    if (document.documentElement.scrollWidth > width)
      found.push(`the page is ${document.documentElement.scrollWidth} px wide`);
    const scrolls = (element: Element | null): boolean => {
      if (!element || element === document.body) return false;
      const { overflowX } = getComputedStyle(element);
      return (
        (/auto|scroll/.test(overflowX) && element.scrollWidth > element.clientWidth) || scrolls(element.parentElement)
      );
    };
    for (const element of document.querySelectorAll("button, a, input, select, textarea")) {
      const { right, left, width: own } = element.getBoundingClientRect();
      const isHidden = own <= 1 || getComputedStyle(element).visibility === "hidden" || right <= 0;
      if (!isHidden && (right > width + 1 || left < -1) && !scrolls(element)) {
        found.push(
          `${element.tagName} ${element.textContent || element.getAttribute("aria-label")} reaches ${Math.round(right)}`,
        );
      }
    }
    return found;
  });
}
