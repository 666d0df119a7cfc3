/** A hook with 50,000 requests is as quick as one with five. */

import type { Page } from "@playwright/test";
import { beGuest, folded, hookPage, makeHook } from "./hook.ts";
import { expect, test } from "./journey.ts";

const MANY = 50_000;
const PAINT_MS_MAX = 1_000;
const FRAME_MS_MAX = 200;
const ROWS_MAX = 150;
const LOADS = 3;

test("50,000 requests: painted within a second, each row at hand, scrolling without a hitch", async ({
  page,
  server,
}) => {
  test.setTimeout(100_000);
  await page.addInitScript(watch);
  await beGuest(page);
  const made = await makeHook(page, {
    code: "function reducer(state = { seen: 0 }) { return { seen: state.seen + 1 }; }",
  });
  await server.write(
    made.writeKeys[0] ?? "",
    Array.from({ length: MANY }, (_, index) => ({ n: index + 1 })),
  );
  await folded(page, made, MANY);
  const hook = hookPage(page);

  await test.step("the first paint and the first rows come within a second", async () => {
    const loads: Load[] = [];
    for (let load = 0; load < LOADS; load++) {
      await hook.open(made.id);
      await expect(hook.row(MANY)).toBeVisible();
      loads.push(await page.evaluate(() => window.everfoldLoad));
    }
    const median = (of: keyof Load) => loads.map((load) => load[of]).toSorted((one, other) => one - other)[1];
    console.log(`first paint ${median("paint")} ms, first rows ${median("rows")} ms`);
    expect(median("paint"), JSON.stringify(loads)).toBeLessThanOrEqual(PAINT_MS_MAX);
    expect(median("rows"), JSON.stringify(loads)).toBeLessThanOrEqual(PAINT_MS_MAX);
  });

  const scroller = hook.table.locator("xpath=..");
  const top = (to: number) =>
    scroller.evaluate((box, to) => box.scrollTo({ top: to * (box.scrollHeight - box.clientHeight) }), to);

  await test.step("whoever jumps to the end or into the middle sees the rows that stand there", async () => {
    await expect(hook.table).toHaveAttribute("aria-rowcount", String(MANY + 1));
    for (const [place, seq] of [
      [1, 1],
      [0.5, MANY / 2],
      [0, MANY],
    ] as const) {
      await top(place);
      const { body } = await (await page.request.get(`/api/hooks/${made.id}/requests/${seq}`)).json();
      await expect(hook.row(seq)).toContainText(JSON.stringify(body));
      await expect(hook.row(seq)).toHaveAttribute("aria-rowindex", String(MANY - seq + 2));
      await expect(hook.row(seq)).toBeInViewport();
    }
  });

  await expect(hook.line("seen: ")).toContainText(String(MANY));

  await test.step("only the rows in sight exist", async () => {
    expect(await page.getByRole("row").count()).toBeLessThan(ROWS_MAX);
  });

  await test.step("the wheel turns without a frame of more than 200 ms", async () => {
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < 3 && best > FRAME_MS_MAX; run++) best = Math.min(best, await wheel(page, scroller));
    console.log(`longest frame ${best} ms`);
    expect(best).toBeLessThanOrEqual(FRAME_MS_MAX);
    expect(await page.getByRole("row").count()).toBeLessThan(ROWS_MAX);
  });
});

/** The longest frame while somebody scrolls on and on. */
async function wheel(page: Page, scroller: ReturnType<Page["locator"]>): Promise<number> {
  await scroller.evaluate((box) => box.scrollTo({ top: 0 }));
  await scroller.hover();
  await page.evaluate(() => window.everfoldFrames.splice(0));
  for (let turn = 0; turn < 40; turn++) await page.mouse.wheel(0, 600);
  await expect.poll(() => scroller.evaluate((box) => box.scrollTop)).toBeGreaterThan(10_000);
  return Math.round(Math.max(...(await page.evaluate(() => window.everfoldFrames))));
}

interface Load {
  paint: number;
  rows: number;
}

declare global {
  interface Window {
    everfoldLoad: Load;
    everfoldFrames: number[];
  }
}

/** Runs in the page before anything else: looks when something is painted, when rows stand there, how long frames take. */
function watch() {
  window.everfoldLoad = { paint: Number.NaN, rows: Number.NaN };
  window.everfoldFrames = [];
  new PerformanceObserver((list) => {
    for (const { name, startTime } of list.getEntries()) {
      if (name === "first-contentful-paint") window.everfoldLoad.paint = Math.round(startTime);
    }
  }).observe({ type: "paint", buffered: true });
  let before = performance.now();
  const frame = (now: number) => {
    window.everfoldFrames.push(now - before);
    before = now;
    const hasRows = document.querySelector('[role="row"] [role="cell"] time') !== null;
    if (hasRows && Number.isNaN(window.everfoldLoad.rows)) window.everfoldLoad.rows = Math.round(now);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}
