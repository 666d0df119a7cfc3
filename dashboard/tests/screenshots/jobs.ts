/** The page of jobs: one script over many inputs on three tabs, and what was done before. */

import { beGuest } from "../hook.ts";
import { JobsPage, over, submit } from "../jobs.ts";
import { expect, test } from "../journey.ts";
import { beSignedIn, DESK, PHONE, shoot, tall } from "./shoot.ts";

const ROUTES = `// The shortest round through the towns
const { towns } = input;
console.log(towns, "towns,", 20_000, "rounds tried");
for (let tried = 0; tried <= 20_000; tried += 5_000) progress(tried, 20_000, "best so far: 412 km");
console.warn("two towns lie at one place");
return { km: 412, first: "Bremen", last: "Uppsala" };
`;

test("jobs", async ({ page, context }) => {
  await page.setViewportSize(DESK);
  await beGuest(page);
  await beSignedIn(page);
  const [first] = [page, await context.newPage(), await context.newPage()].map((page) => new JobsPage(page));
  if (!first) return;
  for (const tab of context.pages()) await new JobsPage(tab).open();
  await over(
    page,
    await submit(page, { name: "Stock of the week", code: "return input.length", input: [3, 1, 4, 1, 5] }),
  );
  await over(page, await submit(page, { name: "Prices in yen", code: "input.total.yen", input: {} }));
  await over(page, await submit(page, { name: "Shortest round", code: ROUTES, input: { towns: 14 } }));

  await page.bringToFront();
  await page.getByRole("combobox", { name: "Example" }).selectOption("Pi by chance, with a picture");
  await page.getByRole("combobox", { name: "Where" }).selectOption("tab");
  await first.run.click();
  await expect(first.lastRun.getByText("done", { exact: true })).toBeVisible({ timeout: 40_000 });
  await expect(first.lastRun.getByRole("img", { name: /^Result \d+$/ })).toHaveCount(16);
  await expect(first.workers.getByText("0 of 4")).toHaveCount(3);
  await page.getByRole("button", { name: "Dismiss" }).click();
  await shoot(page, "jobs", tall(1100));
  await shoot(page, "jobs-phone", PHONE);
  await page.setViewportSize(DESK);

  await first.row("Stock of the week").scrollIntoViewIfNeeded();
  await shoot(page, "jobs-history");
  await first.row("Shortest round").click();
  await expect(first.sheet("Shortest round")).toContainText("412");
  await shoot(page, "job");
});
