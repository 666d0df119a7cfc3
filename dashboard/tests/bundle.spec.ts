/** What a first visit has to load before it sees anything. */

import { gzipSync } from "node:zlib";
import { beGuest, hookPage, makeHook } from "./hook.ts";
import { expect, test } from "./journey.ts";

const BYTES_MAX = 300 * 1024;
/** Words that stand in CodeMirror, in TypeScript and in uPlot, however they are minified. */
const HEAVY = { editor: "cm-content", language: "TypeChecker", chart: "u-legend" };

test("what the first page loads is at most 300 kB gzipped, and has no editor in it", async ({ page }) => {
  await beGuest(page);
  await makeHook(page);
  const loaded: { name: string; bytes: number; text: string }[] = [];
  page.on("response", async (response) => {
    const type = response.request().resourceType();
    if (!["document", "script", "stylesheet"].includes(type)) return;
    const body = await response.body();
    loaded.push({ name: new URL(response.url()).pathname, bytes: gzipSync(body).length, text: body.toString() });
  });
  await page.goto("/");
  await expect(page.getByRole("table", { name: "Hooks" })).toBeVisible();
  await page.waitForLoadState("networkidle");
  const bytes = loaded.reduce((sum, { bytes }) => sum + bytes, 0);
  const list = loaded.map(({ name, bytes }) => `${name} ${bytes}`).join(", ");
  console.log(`${bytes} bytes: ${list}`);
  expect(loaded.length).toBeGreaterThanOrEqual(3);
  expect(bytes, list).toBeLessThanOrEqual(BYTES_MAX);
  for (const [what, word] of Object.entries(HEAVY)) {
    expect(
      loaded.filter(({ text }) => text.includes(word)).map(({ name }) => name),
      what,
    ).toEqual([]);
  }
});

test("the editor comes when it is wanted", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const texts: string[] = [];
  page.on("response", async (response) => {
    if (response.request().resourceType() === "script") texts.push(await response.text());
  });
  await hookPage(page).open(made.id);
  await expect(hookPage(page).code).toBeVisible();
  await expect.poll(() => texts.some((text) => text.includes(HEAVY.editor))).toBe(true);
});
