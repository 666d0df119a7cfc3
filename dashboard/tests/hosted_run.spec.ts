/** The example of an action: a tool written in a hook's code, used by a person in a browser. */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { beGuest, makeHook } from "./hook.ts";
import { expect, test } from "./journey.ts";
import { RunPage } from "./run.ts";

const REFUND = readFileSync(resolve(import.meta.dirname, "../../examples/actions/refund.ts"), "utf8");

test("examples/actions/refund.ts: an e-mail, charges in a table, a refund with progress", async ({ page }) => {
  await beGuest(page);
  await makeHook(page, { name: "shop", code: REFUND });
  const run = new RunPage(page);
  await run.start("refund");
  await run.field("Email").fill("ada@example.com");
  await page.keyboard.press("Enter");
  const charges = run.table("Select charges to refund");
  await charges.getByRole("row", { name: /Punched cards/ }).click();
  await charges.getByRole("row", { name: /ch_1/ }).getByRole("checkbox").check();
  await run.goOn.click();
  await expect(page.getByRole("progressbar", { name: "Refunding" })).toBeVisible();
  await expect(page.getByText(/^Completed \d of 2$/)).toBeVisible();
  await run.gave({ refunded: "2", amount: "61.5" });
  await expect(page.getByText("ada@example.com", { exact: true })).toBeVisible();
});

test("a hosted run is where it was after a SIGKILL of the server, in the same page", async ({
  page,
  server,
  voice,
}) => {
  await beGuest(page);
  await makeHook(page, { name: "shop", code: REFUND });
  const run = new RunPage(page);
  await run.start("refund");
  await run.field("Email").fill("ada@example.com");
  await page.keyboard.press("Enter");
  const charges = run.table("Select charges to refund");
  await charges.getByRole("row", { name: /ch_1/ }).getByRole("checkbox").check();
  await voice.whileAway(async () => {
    await server.kill();
    await expect(page.getByText("reconnecting")).toBeVisible();
    await server.startAgain();
    await expect(page.getByText("reconnecting")).toHaveCount(0);
  });
  await expect(page.getByText("1 selected")).toBeVisible();
  await run.goOn.click();
  await run.gave({ refunded: "1", amount: "49" });
});
