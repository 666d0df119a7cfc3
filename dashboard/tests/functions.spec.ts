/** A function's whole life at its pages: made, built before one's eyes, called, changed, gone back, ended. */

import { beGuest } from "./hook.ts";
import { built, deploy, FunctionPage, GREETER, machine, makeFunction } from "./functions.ts";
import { expect, refusal, test } from "./journey.ts";
import type { Deployment } from "../src/api/types.ts";

const SECOND = { "index.mjs": GREETER["index.mjs"].replace('"Hello"', '"Good evening"') };

test("a function is made, its code built before one's eyes, called, changed, and gone back to", async ({
  page,
  voice,
}) => {
  test.setTimeout(120_000);
  await beGuest(page);
  await page.goto("/functions");
  await expect(page.getByText("No functions yet")).toBeVisible();
  await page.getByRole("button", { name: "New function" }).click();
  const dialog = page.getByRole("dialog", { name: "New function" });
  await dialog.getByRole("textbox", { name: "Name" }).fill("Greeter");
  await dialog.getByRole("radio", { name: /Node/ }).check();
  await dialog.getByRole("button", { name: "Create" }).click();
  await expect(page).toHaveURL(/\/functions\/[0-9a-f-]{36}$/);
  await expect(page.getByText("not deployed")).toBeVisible();

  const of = new FunctionPage(page);
  await of.tab("Settings").click();
  const code = page.getByRole("region", { name: "Code" });
  await code.getByRole("textbox", { name: "Entrypoint" }).fill("index.mjs");
  await code
    .getByRole("textbox", { name: "Build command" })
    .fill(`printf '\\033[32mgreen\\033[0m <b>no tag</b>\\n'; sleep 1; echo late`);
  await code.getByRole("button", { name: "Save" }).click();
  await expect(of.toast("Code: saved")).toBeVisible();

  await of.tab("Overview").click();
  await voice.expecting([refusal(400)], async () => {
    await of.code.setInputFiles({ name: "code.zip", mimeType: "application/zip", buffer: Buffer.from("no archive") });
    await expect(page.getByRole("alert")).toContainText("It was not deployed");
  });
  await of.upload(GREETER);
  await expect(of.log).toContainText("green <b>no tag</b>");
  await expect(of.log).toContainText("late");
  await expect(of.log.locator("span", { hasText: /^green$/ })).toBeVisible();
  await of.close();
  await expect(page.getByText("live", { exact: true })).toBeVisible();

  await of.send("/tea?name=Ada");
  await expect(of.answer.getByRole("tree", { name: "Body" })).toContainText("Ada");
  await expect(of.answer.getByRole("group", { name: "Logs" })).toHaveText(/asked for \/tea/);

  await of.tab("Variables").click();
  await page.getByRole("textbox", { name: "Name" }).fill("GREETING");
  await page.getByRole("textbox", { name: "Value" }).fill("Salve");
  await of.button("Save").click();
  await expect(of.variables).toContainText("Salve");
  await page.getByRole("textbox", { name: "Name" }).fill("TOKEN");
  await page.getByRole("checkbox", { name: "Secret" }).check();
  await page.getByLabel("Value", { exact: true }).fill("hush");
  await of.button("Save").click();
  await expect(of.variables).toContainText("secret, never shown");
  await expect(page.getByText("hush")).toHaveCount(0);
  await of.send("/");
  await expect(of.answer).toContainText("Salve");
  await of.tab("Variables").click();
  await of.button("Remove GREETING").click();
  await of.sheet.getByRole("button", { name: "Remove" }).click();
  await expect(of.variables).not.toContainText("GREETING");

  await of.tab("Deployments").click();
  await of.upload(SECOND);
  await of.close();
  await of.send("/");
  await expect(of.answer).toContainText("Good evening");
  await of.button("Roll back").click();
  await expect(of.toast(/Requests go to [0-9a-f]{8} from now on/)).toBeVisible();
  await expect(of.button("Roll back")).toHaveCount(0);
  await of.send("/");
  await expect(of.answer).toContainText("Hello");
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(of.button("Roll back")).toBeVisible();

  await of.tab("Executions").click();
  await expect(of.executions.getByRole("row").filter({ hasText: "completed" })).toHaveCount(4);
  await of.executions.getByRole("row").filter({ hasText: "/tea" }).click();
  await expect(of.sheet.getByRole("group", { name: "Logs" })).toHaveText(/asked for \/tea/);
  await expect(of.sheet).toContainText("cold");
  await of.close();
  await of.button("Run later").click();
  await of.sheet.getByRole("textbox", { name: "Path" }).fill("/later");
  await of.sheet.getByRole("button", { name: "Run later" }).click();
  const later = of.executions.getByRole("row").filter({ hasText: "/later" });
  await expect(later).toContainText("completed");

  await of.tab("Settings").click();
  await of.button("Delete").click();
  await expect(of.sheet.getByRole("button", { name: "Delete" })).toBeDisabled();
  await of.sheet.getByRole("textbox").fill("Greeter");
  await of.sheet.getByRole("button", { name: "Delete" }).click();
  await expect(page).toHaveURL(/\/functions$/);
  await expect(page.getByText("No functions yet")).toBeVisible();
});

test("what went wrong is said: a build that fails, code that throws, a limit that cannot be", async ({ page }) => {
  test.setTimeout(90_000);
  await beGuest(page);
  const made = await makeFunction(page, { runtime: "node", entrypoint: "index.mjs" });
  await deploy(page, made, GREETER);
  const of = new FunctionPage(page);

  await of.open(made);
  await of.send("/throw");
  await expect(page.getByRole("group", { name: "Errors" })).toContainText("this cannot be done");

  await of.tab("Settings").click();
  const limits = page.getByRole("region", { name: "Limits" });
  await limits.getByRole("textbox", { name: "Memory" }).fill("3");
  await expect(limits.getByText("between 16 and 4,096")).toBeVisible();
  await limits.getByRole("textbox", { name: "Memory" }).fill("256");
  await limits.getByRole("textbox", { name: "Time", exact: true }).fill("1.5");
  await limits.getByRole("button", { name: "Save" }).click();
  await expect(of.toast("Limits: saved")).toBeVisible();
  const changed = await (await page.request.get(`/api/functions/${made.id}`)).json();
  expect(changed.limits).toMatchObject({ timeoutMs: 1_500, memoryMb: 256, processes: made.limits.processes });

  const code = page.getByRole("region", { name: "Code" });
  await code.getByRole("textbox", { name: "Build command" }).fill("echo what it lacks >&2; exit 3");
  await code.getByRole("button", { name: "Save" }).click();
  await expect(of.toast("Code: saved")).toBeVisible();
  await of.tab("Deployments").click();
  await of.upload({ ...GREETER, "more.txt": "more" }, "failed");
  await expect(of.log).toContainText("what it lacks");
  await expect(of.sheet.getByRole("region", { name: "Error" })).toBeVisible();
  await of.close();
  await expect(of.deployments.getByRole("row").filter({ hasText: "active" })).toHaveCount(1);
  await of.send("/");
  await expect(of.answer).toContainText("nobody");
});

test("a build is cancelled where it stands", async ({ page }) => {
  await beGuest(page);
  const made = await makeFunction(page, { runtime: "node", entrypoint: "index.mjs", build: "echo at it; sleep 60" });
  const of = new FunctionPage(page);
  await of.open(made, "deployments");
  await of.upload(GREETER, "building");
  await expect(of.log).toContainText("at it");
  await of.sheet.getByRole("button", { name: /^Cancel the build/ }).click();
  await expect(of.sheet.getByText("cancelled", { exact: true })).toBeVisible();
});

test("the example of each language that is here is deployed by one press, and answers", async ({ page }) => {
  test.setTimeout(180_000);
  await beGuest(page);
  const { objects } = await machine(page);
  // A crate comes from far away: nobody writes one by pressing a button.
  const here = objects.filter(({ available, name }) => available && name !== "rust");
  expect(here.map(({ name }) => name)).toContain("node");
  const of = new FunctionPage(page);
  for (const { name } of here) {
    const made = await makeFunction(page, { name, runtime: name });
    await of.open(made);
    const begun = page.waitForResponse((answer) => answer.url().endsWith("/deployments") && answer.status() === 201);
    await of.button("Deploy this").click();
    const { id } = (await (await begun).json()) as Deployment;
    expect(await built(page, made.id, id), name).toMatchObject({ status: "ready", error: null });
    const answer = await page.request.get(made.url);
    expect(answer.status(), name).toBe(200);
    expect((await answer.text()).toLowerCase(), name).toContain("hello");
  }
});

test("what this machine can run is shown, with what to install for the rest; the command bar finds it all", async ({
  page,
  voice,
}) => {
  await beGuest(page);
  await makeFunction(page, { name: "Greeter", slug: "greeter", runtime: "node" });
  const { objects, sandbox } = await machine(page);
  await page.goto("/functions");
  const runtimes = page.getByRole("table", { name: "What this machine can run" });
  for (const { title, reason, version, available } of objects) {
    const row = runtimes.getByRole("row").filter({ has: page.getByRole("cell", { name: title, exact: true }) });
    await expect(row).toContainText((available ? version : reason) ?? "");
  }
  for (const { name } of sandbox.layers) {
    await expect(page.getByRole("table", { name: "Sandbox" }).getByRole("cell", { name, exact: true })).toBeVisible();
  }

  await page.keyboard.press("ControlOrMeta+k");
  await page.keyboard.type("new function");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "New function" });
  await dialog.getByRole("textbox", { name: "Name" }).fill("Another");
  await dialog.getByRole("textbox", { name: "Slug" }).fill("greeter");
  await voice.expecting([refusal(409)], async () => {
    await dialog.getByRole("button", { name: "Create" }).click();
    await expect(dialog.getByRole("alert")).toBeVisible();
  });
  await page.keyboard.press("Escape");
  await page.keyboard.press("ControlOrMeta+k");
  await page.keyboard.type("greet");
  await page.keyboard.press("Enter");
  await expect(page).toHaveTitle(/^Greeter/);
});
