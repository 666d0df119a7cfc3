/** A table of 10,000 rows is as quick as one with twenty, whether its rows are there or are fetched. */

import type { Page } from "@playwright/test";
import { makeHook } from "./hook.ts";
import { expect, type RunPage, together as test } from "./run.ts";

const ROWS = 10_000;
const PAGE = 20;
/** Of all tables of a run together: one page of each, and its head. */
const ROWS_DRAWN_MAX = PAGE + 1;
/** What one page may cost on its way, over many pages: of 10,000 rows that are sent whole it would be fifty times that. */
const PAGE_BYTES_MAX = 40_000;
const PAGES = 40;

/** What a hook's own actions do, and what the program's do as well. */
const HOSTED: Record<string, string> = {
  kept: `async (io) => {
    await io.display.table("Many", { data: many });
    return io.input.text("Seen");
  }`,
  fetched: `async (io) => {
    const getData = async ({ queryTerm = "", sortDirection, offset, pageSize }) => {
      const found = many.filter(({ name }) => name.includes(queryTerm));
      if (sortDirection === "desc") found.reverse();
      return { data: found.slice(offset, offset + pageSize), totalRecords: found.length };
    };
    await io.display.table("Many", { getData });
    return io.input.text("Seen");
  }`,
};

const codeOf = (slug: string) => `
const many = Array.from({ length: ${ROWS} }, (_, id) => ({ id, name: "Row " + id, born: new Date(id * 86_400_000) }));
export const actions = { ${slug}: ${HOSTED[slug]} };
`;

for (const { table, slug } of [
  { table: "io.display.table", slug: "many" },
  { table: "io.display.table with getData", slug: "many_fetched" },
  { table: "io.select.table", slug: "many_chosen" },
  { table: "a hosted io.display.table", slug: "kept" },
  { table: "a hosted io.display.table with getData", slug: "fetched" },
]) {
  test(`${table}: 10,000 rows are gone through without a stall, sorted and filtered`, async ({ page, run }) => {
    test.setTimeout(120_000);
    if (slug in HOSTED) await makeHook(page, { name: slug, code: codeOf(slug) });
    await page.addInitScript(watch);
    let bytes = 0;
    page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => (bytes += payload.length)));
    await run.start(slug);
    await expect(page.getByText(`1 - ${PAGE} of ${ROWS}`)).toBeVisible();

    const figures = async (what: string, going: Promise<Gone>) => {
      bytes = 0;
      const { rows, times } = await going;
      const [longest = 0] = (await tasks(page)).toSorted((one, other) => other - one);
      const sorted = times.toSorted((one, other) => one - other);
      const each = Math.round(bytes / times.length);
      console.log(
        `${table}, ${what}: ${sorted[sorted.length >> 1]} ms a page, at worst ${sorted.at(-1)} ms, ` +
          `longest task ${longest} ms, ${each} bytes a page`,
      );
      expect(each).toBeLessThan(PAGE_BYTES_MAX);
      return rows;
    };
    await tasks(page);
    const down = await figures("next page", go(page, "Next page", PAGES));
    expect(down).toEqual(from(PAGE, PAGES * PAGE, 1));
    const up = await figures("previous page", go(page, "Previous page", PAGES));
    expect(up.toSorted((one, other) => one - other)).toEqual(from(0, PAGES * PAGE, 1));
    await run.table("Many").getByRole("button", { name: "id" }).click();
    await run.table("Many").getByRole("button", { name: "id" }).click();
    await expect(first(run)).toHaveText(String(ROWS - 1));
    const sorted = await figures("next page, sorted", go(page, "Next page", PAGES));
    expect(sorted).toEqual(from(ROWS - 1 - PAGE, PAGES * PAGE, -1));

    await run.field("Filter").pressSequentially("Row 999", { delay: 60 });
    await expect(run.field("Filter")).toHaveValue("Row 999");
    await expect(page.getByText("1 - 11 of 11")).toBeVisible();
    await run.button("Clear filter").click();
    await expect(page.getByText(`1 - ${PAGE} of ${ROWS}`)).toBeVisible();
    expect(await page.getByRole("row").count()).toBeLessThanOrEqual(ROWS_DRAWN_MAX);
  });
}

for (const { table, slug } of [
  { table: "io.display.table", slug: "many" },
  { table: "io.display.table with getData", slug: "many_fetched" },
  { table: "io.select.table", slug: "many_chosen" },
]) {
  test(`${table}: each of 10,000 rows comes once, and no more of them are drawn than are seen`, async ({
    page,
    run,
  }) => {
    test.setTimeout(180_000);
    await page.addInitScript(watch);
    await run.start(slug);
    await expect(page.getByText(`1 - ${PAGE} of ${ROWS}`)).toBeVisible();
    const { rows, drawn } = await go(page, "Next page", ROWS / PAGE - 1);
    expect(rows).toEqual(from(PAGE, ROWS - PAGE, 1));
    expect(drawn).toBeLessThanOrEqual(ROWS_DRAWN_MAX);
    await expect(run.button("Next page")).toBeDisabled();
    await expect(page.getByText(`${ROWS - PAGE + 1} - ${ROWS} of ${ROWS}`)).toBeVisible();
  });
}

test("io.select.table: all 10,000 are chosen at once, and arrive", async ({ page, run }) => {
  await run.start("many_chosen");
  await run.button("Select all").click();
  await expect(page.getByText(`${ROWS} selected`)).toBeVisible();
  await run.goOn.click();
  await run.gave({ count: String(ROWS), first: "Row 0", last: `Row ${ROWS - 1}` });
});

test("while rows are on their way one types, pages on and filters, and nothing of it is lost", async ({
  page,
  run,
}) => {
  await page.addInitScript(watch);
  await run.start("many_fetched");
  await expect(page.getByText(`1 - ${PAGE} of ${ROWS}`)).toBeVisible();
  await tasks(page);
  // The program takes three seconds for this one.
  await run.field("Filter").fill("slow Row 12");
  await expect(page.locator("[aria-busy=true]")).toHaveCount(1);
  await run.field("Seen").pressSequentially("all of them");
  await expect(run.field("Seen")).toHaveValue("all of them");
  await run.field("Filter").press("End");
  await run.field("Filter").press("3");
  // What comes now was asked for before that letter.
  await expect(page.getByText("1 - 20 of 111")).toBeVisible();
  await run.field("Filter").press("4");
  await expect(run.field("Filter")).toHaveValue("slow Row 1234");
  await expect(page.getByText("1 - 1 of 1")).toBeVisible();
  await expect(run.field("Filter")).toHaveValue("slow Row 1234");
  await run.button("Clear filter").click();
  await expect(page.getByText(`1 - ${PAGE} of ${ROWS}`)).toBeVisible();
  for (let click = 0; click < 5; click++) await run.button("Next page").click();
  await expect(page.getByText(`${5 * PAGE + 1} - ${6 * PAGE} of ${ROWS}`)).toBeVisible();
  console.log(`while rows were on their way: longest task ${Math.max(0, ...(await tasks(page)))} ms`);
});

const from = (begin: number, many: number, step: number) => Array.from({ length: many }, (_, at) => begin + at * step);

const first = (run: RunPage) => run.table("Many").locator("tbody tr").first().locator("td:nth-last-child(3)");

interface Gone {
  /** The ids, as they came. */
  rows: number[];
  /** From the press to the paint. */
  times: number[];
  /** The most rows that were there at once. */
  drawn: number;
}

/** Presses a button again and again, each time as soon as other rows are painted. */
function go(page: Page, name: string, pages: number): Promise<Gone> {
  return page.evaluate(
    async ({ name, pages }) => {
      const gone = { rows: [] as number[], times: [] as number[], drawn: 0 };
      const ids = () =>
        [...document.querySelectorAll("main tbody tr")].map((row) =>
          Number(row.querySelector("td:nth-last-child(3)")?.textContent),
        );
      const frame = () => new Promise(requestAnimationFrame);
      for (let turn = 0; turn < pages; turn++) {
        const before = ids()[0];
        const begun = performance.now();
        document.querySelector<HTMLButtonElement>(`main button[aria-label="${name}"]`)?.click();
        while (ids()[0] === before) {
          await frame();
          if (performance.now() - begun > 10_000) throw new Error(`row ${before} is followed by none`);
        }
        await frame();
        gone.times.push(Math.round(performance.now() - begun));
        gone.rows.push(...ids());
        gone.drawn = Math.max(gone.drawn, document.querySelectorAll("main tr").length);
      }
      return gone;
    },
    { name, pages },
  );
}

declare global {
  interface Window {
    everfoldTasks: number[];
  }
}

/** Runs in the page before anything else: how long it was kept from answering. */
function watch() {
  window.everfoldTasks = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.everfoldTasks.push(Math.round(duration));
  }).observe({ type: "longtask" });
}

/** Since it was asked last. */
const tasks = (page: Page) => page.evaluate(() => window.everfoldTasks.splice(0));
