/** Every page, every tab and every dialog, light and dark: axe-core finds nothing. And who wants no motion gets none. */

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { hookPage } from "./hook.ts";
import { expect, refusal, test } from "./journey.ts";
import { DIALOGS, furnished, PAGES, type Place, TABS } from "./places.ts";

for (const [what, places] of [
  ["page", PAGES],
  ["tab", TABS],
  ["dialog", DIALOGS],
] as const) {
  test(`axe-core finds no violation on any ${what}, light or dark`, async ({ page, voice }) => {
    test.setTimeout(180_000);
    await page.emulateMedia({ reducedMotion: "reduce" });
    const hook = await furnished(page);
    const found: string[] = [];
    // A page that is not found says 404, as it should.
    await voice.expecting([refusal(404)], async () => {
      for (const place of places) {
        await place.reach(page, hook);
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
          found.push(...(await violations(page, place, colorScheme)));
        }
      }
    });
    expect(found).toEqual([]);
  });
}

async function violations(page: Page, place: Place, scheme: string): Promise<string[]> {
  const axe = new AxeBuilder({ page });
  for (const part of place.parts ?? []) axe.include(part);
  // In the dark everything is as it was, but for the colours.
  if (scheme === "dark") axe.withRules(["color-contrast"]);
  const { violations } = await axe.analyze();
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(
      ({ target, failureSummary }) =>
        `${place.name}, ${scheme}: ${id}: ${help}: ${target.join(" ")}: ${failureSummary}`,
    ),
  );
}

test("the theme is chosen, kept, and above the machine's own", async ({ page }) => {
  await furnished(page);
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto("/settings");
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await page.getByRole("radio", { name: "Dark" }).check();
  await expect.poll(ground).not.toBe(light);
  const dark = await ground();
  await page.reload();
  await expect.poll(ground).toBe(dark);
  await page.getByRole("radio", { name: "System" }).check();
  await expect.poll(ground).toBe(light);
});

test("who wants no motion gets none", async ({ page }) => {
  const moving = () =>
    page.evaluate(() =>
      document
        .getAnimations()
        .filter(({ effect }) => Number(effect?.getComputedTiming().duration) > 20)
        .map(
          (animation) => (animation as CSSTransition).transitionProperty ?? (animation as CSSAnimation).animationName,
        ),
    );
  const made = await furnished(page);
  const hook = hookPage(page);
  const act = async () => {
    const seen = new Set<string>();
    await hook.open(made.id);
    await expect(hook.row(3)).toBeVisible();
    const look = async () => {
      for (const name of await moving()) seen.add(name);
    };
    await hook.button("Send request").click();
    await expect(hook.row(4)).toBeVisible();
    await look();
    await hook.tab("State").click();
    await look();
    await page.keyboard.press("ControlOrMeta+k");
    await look();
    return seen;
  };
  await page.emulateMedia({ reducedMotion: "reduce" });
  expect([...(await act())]).toEqual([]);
  const slow = await page.evaluate(
    () =>
      [...document.querySelectorAll("*")].filter((element) => {
        const { transitionDuration, animationDuration, scrollBehavior } = getComputedStyle(element);
        const longest = Math.max(...`${transitionDuration},${animationDuration}`.split(",").map(Number.parseFloat));
        return longest > 0.02 || scrollBehavior === "smooth";
      }).length,
  );
  expect(slow, "elements with a transition, an animation or smooth scrolling").toBe(0);
});
