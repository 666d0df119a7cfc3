/** The pages of actions: the desk of a shop's support, with customers, refunds, and a report every Monday. */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { answer, run as begin } from "../action.ts";
import { beGuest, makeHook } from "../hook.ts";
import { expect, refusal, test } from "../journey.ts";
import { RunPage } from "../run.ts";
import { beSignedIn, DESK, PHONE, shoot, tall } from "./shoot.ts";

const REFUND = readFileSync(resolve(import.meta.dirname, "../../../examples/actions/refund.ts"), "utf8");

const SUPPORT = `
const NAMES = ["Mira Okafor", "Jonas Lind", "Aiko Tanaka", "Lucía Prado", "Noah Weber", "Priya Nair", "Emil Novák", "Zoë Martin", "Tariq Aziz", "Ada Byron"];
const CITIES = ["Lagos", "Uppsala", "Kyoto", "Sevilla", "Bremen", "Kochi", "Brno", "Lyon", "Lahore", "London"];
const CUSTOMERS = Array.from({ length: 48 }, (_, n) => ({
  id: 1001 + n,
  name: NAMES[n % 10],
  city: CITIES[n % 10],
  orders: 1 + ((n * 7) % 12),
  spent: 12 + ((n * 7919 + 1047) % 410),
  since: new Date(Date.UTC(2023, n % 12, 1 + ((n * 5) % 28))),
}));

export const actions = {
  customers: new Page({
    name: "Customers",
    description: "Everybody who ever bought tea here",
    handler: async (display) =>
      new Layout({
        title: "Customers",
        description: "Everybody who ever bought tea here",
        menuItems: [{ label: "New customer", route: "customers/create" }],
        children: [
          display.metadata("Figures", {
            layout: "card",
            data: [
              { label: "Customers", value: CUSTOMERS.length },
              { label: "Orders", value: CUSTOMERS.reduce((sum, { orders }) => sum + orders, 0) },
              { label: "Earned", value: "€ 9,604.28" },
            ],
          }),
          display.table("All customers", {
            data: CUSTOMERS,
            defaultPageSize: 10,
            columns: [
              { label: "No.", accessorKey: "id" },
              { label: "Name", accessorKey: "name" },
              { label: "City", accessorKey: "city" },
              { label: "Orders", accessorKey: "orders" },
              { label: "Spent", accessorKey: "spent" },
              { label: "Customer since", accessorKey: "since" },
            ],
            rowMenuItems: ({ name }) => [{ label: "Close the account", route: "customers/close", params: { name } }],
          }),
        ],
      }),
    routes: {
      create: {
        name: "New customer",
        description: "Somebody who ordered by telephone",
        handler: async (io, ctx) => {
          const made = await io.group({
            name: io.input.text("Name", { minLength: 2 }),
            email: io.input.email("E-mail", { helpText: "The receipt goes there." }),
            plan: io.select.single("Delivery", { options: ["Once", "Every month", "Every quarter"], defaultValue: "Every month" }),
            teas: io.select.multiple("Teas", { options: ["Green", "Black", "White", "Rooibos"], maxSelections: 3 }),
            first: io.input.date("First parcel", { defaultValue: { year: 2027, month: 1, day: 4 } }),
            spoonfuls: io.input.slider("Spoonfuls a day", { min: 0, max: 12, defaultValue: 4 }),
            gift: io.input.boolean("As a gift"),
            note: io.input.text("Note", { multiline: true }).optional(),
          }, { continueButton: { label: "Add customer" } });
          return made;
        },
      },
      close: {
        name: "Close an account",
        description: "After asking twice",
        handler: async (io, ctx) => {
          const name = ctx.params.name ?? "Jonas Lind";
          await ctx.log("asked by", ctx.user.email);
          const isSure = await io.confirm("Close the account of " + name + "?", { helpText: "Parcels that are on their way still arrive. Nothing else does." });
          return isSure ? { closed: name } : "The account stays open.";
        },
      },
    },
  }),
  report: {
    name: "Weekly report",
    description: "What was sold, what is left, sent when somebody has read it",
    handler: async (io, ctx) => {
      await ctx.log("44 orders between Monday and Sunday");
      await ctx.log("honey: 3 left, 12 a week are sold");
      const [, , , words] = await io.group([
        io.display.heading("Week 47", { description: "16 to 22 November" }),
        io.display.metadata("Figures", { layout: "card", data: [{ label: "Orders", value: 44 }, { label: "Earned", value: "€ 1,312.40" }, { label: "Returned", value: 2 }] }),
        io.display.table("Sold", {
          data: [
            { tea: "Green", sold: 31, left: 214, earned: 368.9 },
            { tea: "Black", sold: 24, left: 180, earned: 228 },
            { tea: "White", sold: 9, left: 12, earned: 162 },
            { tea: "Honey", sold: 12, left: 3, earned: 87 },
          ],
        }),
        io.input.text("A word to the team", { multiline: true, defaultValue: "Honey is nearly out. Lucía, please order before Wednesday." }).optional(),
      ]).withChoices(["Send it", { label: "Not this week", value: "no", theme: "secondary" }]);
      return { sent: true, words };
    },
  },
  stocktake: {
    name: "Stocktake",
    description: "Counts what is on the shelves",
    handler: async (io, ctx) => {
      await ctx.loading.start({ label: "Counting shelves", itemsInQueue: 8 });
      for (let shelf = 1; shelf <= 8; shelf++) {
        await ctx.log("shelf", shelf, "has", 90 + ((shelf * 37) % 40), "tins");
        await ctx.loading.completeOne();
      }
      return { shelves: 8, tins: 871, missing: 2 };
    },
  },
  warehouse: {
    name: "Sync the warehouse",
    description: "Tells the warehouse what was sold",
    handler: async (io, ctx) => {
      await ctx.log("212 lines to tell");
      throw new Error("the warehouse answered 503 to line 130 of 212");
    },
  },
};
`;

test("actions", async ({ page, voice }) => {
  await page.setViewportSize(DESK);
  await beGuest(page);
  await beSignedIn(page);
  await makeHook(page, { name: "shop", description: "Charges and refunds", code: REFUND });
  await makeHook(page, { name: "support", description: "What the people at the desk need", code: SUPPORT });
  const run = new RunPage(page);

  await begin(page, "stocktake");
  await begin(page, "warehouse");
  await answer(page, await begin(page, "refund"), "grace@example.com");
  const monday = { slug: "report", cron: "0 8 * * 1", timezone: "Europe/Berlin" };
  await page.request.post("/api/schedules", { data: monday });
  await page.request.post("/api/schedules", {
    data: { slug: "stocktake", cron: "30 6 * * *", timezone: "Europe/Berlin" },
  });
  const queued = { slug: "refund", params: { order: "A-1207" }, assignee: "ada@tea.example" };
  await page.request.post("/api/actions/enqueue", { data: queued });

  await run.start("refund");
  await run.field("Email").fill("ada@example.com");
  await page.keyboard.press("Enter");
  const charges = run.table("Select charges to refund");
  await charges.getByRole("row", { name: /ch_2/ }).getByRole("checkbox").check();
  await shoot(page, "refund");
  await run.goOn.click();
  await run.ends("Completed");
  await shoot(page, "run-completed");

  await run.start("customers/create");
  await run.field("Name").fill("G");
  await run.field("E-mail").fill("grace@navy.example");
  await voice.expecting([refusal(422)], async () => {
    await run.goOn.click();
    await expect(run.fieldError.first()).toBeVisible();
  });
  await shoot(page, "run-form");
  await shoot(page, "run-form-phone", PHONE);
  await page.setViewportSize(DESK);

  await run.start("customers/close");
  await expect(page.getByRole("dialog")).toBeVisible();
  await shoot(page, "run-confirm");

  await run.start("report");
  await expect(run.goOn.first()).toBeVisible();
  await run.button("Logs").click();
  await shoot(page, "run-displays", tall(960));
  await page.setViewportSize(DESK);

  await run.start("warehouse");
  await run.ends("Error");
  await run.button("Logs").click();
  await shoot(page, "run-failed");
  await run.button("Schedule…").click();
  await expect(page.getByRole("dialog")).toBeVisible();
  await shoot(page, "schedule");

  await page.goto("/p/customers");
  await expect(page.getByText("1 - 10 of 48")).toBeVisible();
  await shoot(page, "page");

  await voice.expecting([refusal(404)], async () => {
    await page.goto("/a/invoice");
    await expect(page.getByText("There is no action ‘invoice’.")).toBeVisible();
    await shoot(page, "action-unknown");
  });

  await page.goto("/");
  await expect(page.getByRole("table", { name: "Schedules" }).getByText("Weekly report")).toBeVisible();
  await page.waitForLoadState("networkidle");
  await shoot(page, "home", tall(1200));
  await shoot(page, "home-phone", PHONE);
  await page.setViewportSize(DESK);
  await page.getByRole("searchbox").fill("custom");
  await expect(page.getByRole("list", { name: "Results" })).toBeVisible();
  await shoot(page, "search");
  await page.goto("/history");
  await expect(page.getByRole("table", { name: "History" }).getByText("failure").first()).toBeVisible();
  await shoot(page, "history");
});
