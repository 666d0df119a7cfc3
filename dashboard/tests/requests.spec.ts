/** What became of each request: a word for every outcome, and the owner's own line where code failed. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Page } from "@playwright/test";
import { beGuest, changeHook, folded, hookPage, makeHook, send, writePath } from "./hook.ts";
import { expect, refusal, test } from "./journey.ts";

const CODE = `function responder(request) {
  if (request.body.kind === "unwanted") return { statusCode: 422, body: "no" };
  if (request.body.kind === "broken") throw new TypeError("the responder broke");
  return { statusCode: 202, body: "" };
}
function getIdempotencyKey(request) { return request.body.once ?? request.id; }
function reducer(state = { seen: 0 }, request) {
  if (request.body.kind === "poison") {
    throw new RangeError("this one cannot be eaten");
  }
  return { seen: state.seen + 1 };
}
`;

test("every outcome of a request has its word", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page, { code: CODE });
  expect(await send(page, made, { kind: "good", once: "a" })).toBe(202);
  expect(await send(page, made, { kind: "poison" })).toBe(202);
  expect(await send(page, made, { kind: "unwanted" })).toBe(422);
  expect(await send(page, made, { kind: "broken" })).toBe(500);
  expect(await send(page, made, { kind: "good", once: "a" })).toBe(202);
  await folded(page, made, 5);
  await changeHook(page, made.id, { workflowState: "paused" });
  expect(await send(page, made, { kind: "good" })).toBe(202);

  const hook = hookPage(page);
  await hook.open(made.id);
  const words = ["folded", "error", "ignored", "failed", "duplicate", "pending"];
  for (const [index, word] of words.entries()) {
    await expect(hook.row(index + 1).getByRole("cell", { name: word, exact: true })).toBeVisible();
  }
  await expect(hook.row(2)).toContainText("RangeError: this one cannot be eaten");
  await hook.row(5).click();
  await expect(hook.sheet(5)).toContainText("duplicate of request 1");
  await page.keyboard.press("Escape");

  await hook.button("Play").click();
  await expect(hook.row(6).getByRole("cell", { name: "folded", exact: true })).toBeVisible();
  await expect(hook.line("seen: 2")).toBeVisible();
});

test("an error shows the owner's own line", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page, { code: CODE });
  await send(page, made, { kind: "poison" });
  await folded(page, made, 1);
  const hook = hookPage(page);
  await hook.open(made.id);
  await hook.row(1).click();
  const error = hook.sheet(1).getByRole("region", { name: "Error" });
  await expect(error).toContainText("RangeError: this one cannot be eaten");
  await expect(error.locator("pre").first()).toContainText(/8\s*if \(request.body.kind/);
  await expect(error.locator("[class*=culprit]")).toHaveText(
    /^9\s*throw new RangeError\("this one cannot be eaten"\);\s*$/,
  );
});

test("what is sent from the page arrives as it was written", async ({ page, voice }) => {
  await beGuest(page);
  const made = await makeHook(page, {
    code: "function reducer(state, request) { return { method: request.method, kind: request.headers['x-kind'] ?? null, body: request.body }; }\nfunction responder({ body }) { return { statusCode: body === 'bad' ? 418 : 201, body: 'thank you' }; }",
  });
  const hook = hookPage(page);
  await hook.open(made.id);
  const form = page.getByRole("form", { name: "Send a request" });
  await form.getByRole("combobox", { name: "Method" }).selectOption("PUT");
  await form.getByRole("textbox", { name: "Body" }).fill('{"deep": [1, {"two": "drei"}]}');
  await form.getByText("Headers and curl").click();
  await form.getByRole("textbox", { name: /Headers/ }).fill("content-type: application/json\nx-kind: test");
  await form.getByRole("button", { name: "Send request" }).click();
  await expect(form).toContainText("201 thank you");
  await expect(hook.line("method: ")).toContainText("PUT");
  await expect(hook.line("kind: ")).toContainText("test");
  await expect(hook.line("two: ")).toHaveCount(0);
  await expect(hook.row(1)).toContainText("drei");

  await form.getByRole("textbox", { name: /Headers/ }).fill("content-type: text/plain");
  await form.getByRole("textbox", { name: "Body" }).fill("bad");
  await voice.expecting([refusal(418)], async () => {
    await form.getByRole("button", { name: "Send request" }).click();
    await expect(form).toContainText("418 thank you");
  });
  await expect(hook.row(2).getByRole("cell", { name: "ignored" })).toBeVisible();
});

test("the curl line beside the form says what the form sends, and where to", async ({ page, server }) => {
  await beGuest(page);
  const made = await makeHook(page);
  await hookPage(page).open(made.id);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const form = page.getByRole("form", { name: "Send a request" });
  await form.getByRole("textbox", { name: "Body" }).fill('{"name": "jam"}');
  await form.getByText("Headers and curl").click();
  const address = `${server.url}${writePath(made)}`;
  await expect(form.locator("pre")).toContainText(address);
  await expect(form.locator("pre")).toContainText('{"name": "jam"}');
  await form.getByRole("button", { name: "Copy as curl" }).click();
  await expect(form.getByRole("button", { name: "Copied" })).toBeVisible();
  const line = await copied(page);
  expect(line).toMatch(/^curl /);
  expect(line).toContain(address);
  const { stdout } = await promisify(execFile)("sh", ["-c", line.replace(/^curl /, "curl --silent ")]);
  expect(JSON.parse(stdout)).toMatchObject({ seq: 1 });
  await expect(hookPage(page).line("last: ")).toContainText("jam");
});

test("Copy path of a line of the state is how code reaches it", async ({ page }) => {
  await beGuest(page);
  const code = `function reducer() { return { orders: { "in words": "tea" } }; }`;
  const made = await makeHook(page, { code });
  await send(page, made, {});
  await folded(page, made, 1);
  const hook = hookPage(page);
  await hook.open(made.id);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const line = hook.line("in words: ").last();
  await line.hover();
  await line.getByRole("button", { name: /^Copy path/ }).click();
  expect(await copied(page)).toBe('state.orders["in words"]');
});

test("a template of the hook's own fills the form", async ({ page }) => {
  await beGuest(page);
  const code = `template("order", (state) => ({ method: "POST", headers: { "content-type": "application/json" }, body: { sku: "T-1", seen: state?.n ?? 0 } }));
function reducer(state = { n: 0 }, { body }) { return { n: state.n + 1, sku: body.sku }; }`;
  const made = await makeHook(page, { code });
  const hook = hookPage(page);
  await hook.open(made.id);
  await page.getByRole("combobox", { name: "Template" }).selectOption("order");
  await hook.button("Send request").click();
  await expect(hook.line("sku: ")).toContainText("T-1");
});

test("the state can be searched, drawn over time, and asked as readers ask", async ({ page }) => {
  await beGuest(page);
  const code = `function reducer(state = { total: 0, depth: { of: { things: [] } } }, { body }) {
  return { total: state.total + body.n, depth: { of: { things: [...state.depth.of.things, body.n] } } };
}
function query(state, params) { return { doubled: state.total * Number(params.get("by") ?? 2) }; }`;
  const made = await makeHook(page, { code });
  for (const n of [1, 2, 3]) await send(page, made, { n });
  await folded(page, made, 3);
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=state");
  await expect(hook.line("total: 6")).toBeVisible();
  await hook.state.getByRole("searchbox").fill("things");
  await expect(hook.state.getByRole("treeitem").first()).toContainText("things");
  await hook.state.getByRole("searchbox").fill("no such thing");
  await expect(hook.state).toContainText("No results found");
  await hook.state.getByRole("searchbox").fill("");

  await expect(page.getByRole("img", { name: /total.*from 1 to 6/ })).toBeVisible();
  const answer = page.getByRole("region", { name: "What readers get" });
  await expect(answer.getByRole("tree")).toContainText("doubled: 12");
  await answer.getByRole("textbox", { name: "Parameters" }).fill("by=10");
  await answer.getByRole("textbox", { name: "Parameters" }).press("Enter");
  await expect(answer.getByRole("tree")).toContainText("doubled: 60");
});

test("the console tells what the code said, newest first, each line with its request", async ({ page }) => {
  await beGuest(page);
  const code = `function reducer(state, { body }) { console[body.level](body.words); return body; }`;
  const made = await makeHook(page, { code });
  await send(page, made, { level: "info", words: "the first line" });
  await send(page, made, { level: "warn", words: "two\nlines" });
  await folded(page, made, 2);
  const hook = hookPage(page);
  await hook.open(made.id, "?tab=console");
  const lines = page
    .getByRole("list", { name: "Lines, newest first" })
    .getByRole("listitem")
    .filter({ hasText: /info|warn/ });
  await expect(lines).toHaveText([/warn.*two\s*lines/s, /info.*the first line/s]);
  await page.getByRole("combobox", { name: "Level" }).selectOption("info");
  await expect(lines).toHaveCount(1);
  await page.getByRole("searchbox", { name: "Search in console" }).fill("nothing like it");
  await expect(page.getByText("No records found matching 'info nothing like it'")).toBeVisible();
  await page.getByRole("searchbox", { name: "Search in console" }).fill("");
  await page.getByRole("link", { name: "Request 1" }).click();
  await expect(hook.sheet(1)).toBeVisible();
});

const copied = (page: Page) => page.evaluate(() => navigator.clipboard.readText());
