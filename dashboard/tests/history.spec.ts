/** Every run stays, and is found again. */

import { ACTIONS, answer, run } from "./action.ts";
import { beGuest, makeHook } from "./hook.ts";
import { expect, test } from "./journey.ts";

test("every run is listed with how it stands, live, and leads to itself", async ({ page }) => {
  await beGuest(page);
  await makeHook(page, { code: ACTIONS });
  await page.goto("/history");
  await expect(page.getByText("No runs yet")).toBeVisible();

  await run(page, "break");
  await run(page, "count");
  const asked = await run(page, "greet");
  const table = page.getByRole("table", { name: "History" });
  const rows = table.getByRole("row").filter({ has: page.getByRole("cell") });
  await expect(rows, "the newest first").toContainText([
    /Greet somebody.*waiting.*Whom to greet/,
    /count.*success/,
    /break.*failure.*this cannot be done/,
  ]);
  await answer(page, asked, "Ada");
  await expect(rows.first()).toContainText("success");
  await rows.first().click();
  await expect(page).toHaveURL(new RegExp(`/r/${asked.id}$`));
});

test("runs are found by action and by status, and the address keeps what was sought", async ({ page }) => {
  await beGuest(page);
  await makeHook(page, { code: ACTIONS });
  for (const slug of ["break", "count", "greet", "count"]) await run(page, slug);
  await page.goto("/history");
  const rows = page
    .getByRole("table", { name: "History" })
    .getByRole("row")
    .filter({ has: page.getByRole("cell") });
  await expect(rows).toHaveCount(4);
  await page.getByRole("searchbox", { name: "Filter" }).fill("cou");
  await expect(rows).toHaveCount(2);
  await page.getByRole("combobox", { name: "Status" }).selectOption("waiting");
  await expect(page.getByText("No records found matching 'cou, waiting'")).toBeVisible();
  await page.reload();
  await expect(page.getByText("No records found matching 'cou, waiting'")).toBeVisible();
  await page.getByRole("searchbox", { name: "Filter" }).fill("");
  await expect(rows).toHaveText([/Greet somebody/]);
  await page.getByRole("button", { name: "Clear filter" }).click();
  await expect(rows).toHaveCount(4);
});
