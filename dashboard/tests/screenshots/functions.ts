/** The pages of functions: one that says what a parcel costs, in its second deployment. */

import { beGuest } from "../hook.ts";
import { deploy, execute, FunctionPage, makeFunction } from "../functions.ts";
import { expect, test } from "../journey.ts";
import { beSignedIn, DESK, PHONE, shoot } from "./shoot.ts";

const SHIPPING = {
  "index.mjs": `import { parcels } from "./parcels.mjs";

const ZONES = { DE: 4.9, FR: 7.5, JP: 16 };

export default ({ req, res, log, error }) => {
  const { country = "DE", grams = "500" } = req.query;
  log(\`\${grams} g to \${country}\`);
  if (!(country in ZONES)) throw new RangeError(\`no carrier goes to \${country}\`);
  if (Number(grams) > 5_000) error("more than one parcel");
  const many = parcels(Number(grams));
  return res.json({ country, grams: Number(grams), parcels: many, price: many * ZONES[country], currency: process.env.CURRENCY });
};
`,
  "parcels.mjs": "export const parcels = (grams) => Math.ceil(grams / 5_000);\n",
  "check.mjs": `import { parcels } from "./parcels.mjs";
const well = (words) => console.log("\\x1b[32m✓\\x1b[0m " + words);
if (parcels(5_001) !== 2) throw new Error("5,001 g are two parcels");
well("parcels.mjs: 750 g are one parcel, 5,001 g are two");
well("index.mjs: prices for DE, FR and JP");
console.log("\\x1b[33mwarning\\x1b[0m prices of JP are older than a year");
console.log("\\x1b[1mshipping\\x1b[0m is ready");
`,
  "package.json": '{ "name": "shipping", "type": "module" }\n',
};

const BUILD = "node check.mjs";

const ASKED = [
  "/quote?country=DE&grams=750",
  "/quote?country=FR&grams=1200",
  "/quote?country=JP&grams=300",
  "/quote?country=DE&grams=12000",
  "/quote?country=BR&grams=400",
  "/quote?country=FR&grams=250",
];

test("functions", async ({ page }) => {
  await page.setViewportSize(DESK);
  await beGuest(page);
  await beSignedIn(page);
  const shipping = await makeFunction(page, {
    name: "shipping",
    slug: "shipping",
    runtime: "node",
    entrypoint: "index.mjs",
    build: BUILD,
    schedule: "0 5 * * *",
  });
  for (const variable of [
    { key: "CURRENCY", value: "EUR", secret: false },
    { key: "CARRIER_URL", value: "https://api.carrier.example/v2", secret: false },
    { key: "CARRIER_TOKEN", value: "ct_1", secret: true },
  ]) {
    await page.request.post(`/api/functions/${shipping.id}/variables`, { data: variable });
  }
  await deploy(page, shipping, { ...SHIPPING, "zones.md": "# Zones\n" });
  await deploy(page, shipping, SHIPPING);
  for (const path of ASKED) await execute(page, shipping, path);
  await page.request.get(`${shipping.url}/quote?country=DE&grams=900`);
  const receipts = await makeFunction(page, { name: "receipts", slug: "receipts", runtime: "python" });
  await makeFunction(page, { name: "labels", slug: "labels", runtime: "go" });

  const of = new FunctionPage(page);
  await of.open(shipping);
  await of.send("/quote?country=FR&grams=12000");
  await expect(of.answer.getByRole("tree")).toContainText("price");
  await shoot(page, "function");
  await shoot(page, "function-phone", PHONE);
  await page.setViewportSize(DESK);

  await of.open(shipping, "deployments");
  await expect(of.deployments.getByText("active")).toBeVisible();
  await shoot(page, "function-deployments");
  await of.deployments.getByRole("row").filter({ hasText: "active" }).click();
  await expect(of.log).toContainText("parcels.mjs");
  await shoot(page, "function-build");

  await of.open(shipping, "executions");
  await expect(of.executions.getByText("completed").first()).toBeVisible();
  await shoot(page, "function-executions");
  await of.executions.getByRole("row").filter({ hasText: "country=BR" }).click();
  await expect(of.sheet.getByText("no carrier goes to BR").first()).toBeVisible();
  await shoot(page, "function-execution");
  await of.close();
  await of.button("Run later").click();
  await expect(of.sheet.getByLabel("When")).toBeVisible();
  await shoot(page, "function-later");

  await of.open(shipping, "variables");
  await expect(of.variables.getByText("EUR")).toBeVisible();
  await shoot(page, "function-variables");
  await of.open(shipping, "settings");
  await expect(of.button("Delete")).toBeVisible();
  await shoot(page, "function-settings");

  await of.open(receipts);
  await expect(of.button("Deploy this")).toBeVisible();
  await shoot(page, "function-first");

  await page.goto("/functions");
  await expect(page.getByRole("table", { name: "Sandbox" }).getByRole("cell").first()).toBeVisible();
  await expect(page.getByRole("table", { name: "Functions" }).getByText("active")).toBeVisible();
  await shoot(page, "functions");
  await shoot(page, "functions-phone", PHONE);
  await page.setViewportSize(DESK);
  await page.goto("/functions?new");
  await page.getByRole("dialog").getByRole("textbox", { name: "Name" }).fill("Gift cards");
  await shoot(page, "new-function");
});
