/** Pages as a person meets them, light and dark, for the README and docs. */

import { join } from "node:path";
import type { Page } from "@playwright/test";

const FOLDER = join(import.meta.dirname, "../../../docs/screenshots");
export const DESK = { width: 1280, height: 800 };
/** Where what belongs together is longer than a window. */
export const tall = (height: number) => ({ ...DESK, height });
export const PHONE = { width: 375, height: 800 };

export async function shoot(page: Page, name: string, size = DESK) {
  await page.setViewportSize(size);
  await page.mouse.move(0, 0);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.evaluate(() => document.fonts.ready);
    // Charts are drawn anew in the colours of the scheme.
    await page.waitForTimeout(400);
    await page.screenshot({
      path: join(FOLDER, `${name}-${colorScheme}.png`),
      scale: "css",
      caret: "hide",
      animations: "disabled",
    });
  }
}

/** Where the link leads that was sent to her. */
export async function signIn(page: Page): Promise<string> {
  await page.request.post("/api/auth/signin", { data: { email: "ada@tea.example" } });
  const mails = await (await page.request.get("/api/dev/mail")).json();
  return new URL(mails.at(-1).link).pathname;
}

/** From here on the browser is hers. */
export async function beSignedIn(page: Page) {
  await page.goto(await signIn(page));
  await page.getByRole("button").click();
}
