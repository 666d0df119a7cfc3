/** Whatever others send or write is text on these pages, and never runs. */

import type { Page } from "@playwright/test";
import { beGuest, folded, hookPage, makeHook, readPath, send } from "./hook.ts";
import { expect, test } from "./journey.ts";

const EVIL = `<img src=x onerror="window.ran=1"><script>window.ran=1</script><style>*{color:red}</style>`;

const CODE = `
const evil = ${JSON.stringify(EVIL).replaceAll("<", "\\u003c")};
function responder({ body }) { return { statusCode: 202, headers: { "content-type": "text/html" }, body: evil }; }
function reducer(state, request) {
  console.log(evil, request.body);
  if (request.body.fails) { const error = new Error(evil); error.name = evil; throw error; }
  return { [evil]: evil, body: request.body };
}
function query() { return { statusCode: 200, headers: { "content-type": "text/html" }, body: "<h1>mine</h1>" + evil }; }
template(evil, () => ({ method: "POST", headers: {}, body: evil }));
`;

async function nothingRan(page: Page) {
  expect(await page.evaluate(() => (window as { ran?: unknown }).ran)).toBeUndefined();
  await expect(page.locator('img[src="x"]')).toHaveCount(0);
  await expect(page.locator("main script, dialog script, main style, header style")).toHaveCount(0);
}

test("names, states, log lines, errors and answers are shown as the text they are", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page, { name: EVIL, description: EVIL, code: CODE });
  await send(page, made, { [EVIL]: EVIL }, { "x-evil": "<script>window.ran=1</script>" });
  await send(page, made, { fails: true });
  await folded(page, made, 2);
  await page.request.post(`/api/secrets/${made.id}`, { data: { key: "EVIL", value: EVIL } });
  const hook = hookPage(page);

  await hook.open(made.id);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(EVIL);
  await expect(hook.row(1)).toContainText("<script>window.ran=1</script>");
  await expect(hook.row(2)).toContainText("<img src=x onerror=");
  await expect(hook.line("<img src=x").first()).toBeVisible();
  await hook.button("Send request").click();
  await expect(page.getByRole("form", { name: "Send a request" })).toContainText("202 <img");
  await nothingRan(page);

  await hook.row(1).click();
  await expect(hook.sheet(1)).toContainText("<script>window.ran=1</script>");
  await nothingRan(page);
  await page.keyboard.press("Escape");
  await hook.row(2).click();
  await expect(hook.sheet(2).getByRole("region", { name: "Error" })).toContainText(EVIL);
  await nothingRan(page);

  for (const tab of ["state", "versions", "console", "keys", "secrets", "settings"]) {
    await hook.open(made.id, `?tab=${tab}`);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(EVIL);
    if (tab === "console") await expect(page.getByRole("list", { name: /^Lines/ })).toContainText(EVIL);
    if (tab === "state")
      await expect(page.getByRole("region", { name: "What readers get" })).toContainText("<h1>mine</h1>");
    if (tab === "settings") {
      await hook.button("Delete").click();
      await expect(page.getByRole("dialog")).toContainText("<img src=x");
    }
    await nothingRan(page);
  }
  for (const path of ["/", "/hooks"]) {
    await page.goto(path);
    await expect(page.getByRole("table").first()).toContainText("<img src=x");
    await page.keyboard.press("ControlOrMeta+k");
    await expect(page.getByRole("option").filter({ hasText: "<img src=x" }).first()).toBeVisible();
    await nothingRan(page);
  }
});

test("HTML that a query returns runs nothing and is nobody: its origin is opaque", async ({ page, voice }) => {
  await beGuest(page);
  const made = await makeHook(page, { code: CODE });
  await send(page, made, {});
  await folded(page, made, 1);
  const answer = await page.request.get(readPath(made), { headers: { accept: "*/*" } });
  expect(answer.headers()["content-type"]).toContain("text/html");
  expect(answer.headers()["content-security-policy"]).toMatch(/(^|;)\s*sandbox\s*(;|$)/);
  const written = await page.request.post(`/write/${made.writeKeys[0]}`, { data: {} });
  expect(written.headers()["content-security-policy"]).toMatch(/(^|;)\s*sandbox\s*(;|$)/);

  await voice.expecting([/sandboxed/, /status of 404/], async () => {
    await page.goto(readPath(made));
    await expect(page.getByRole("heading", { name: "mine" })).toBeVisible();
    await page.waitForTimeout(300);
  });
  expect(await page.locator("h1").evaluate(() => `${self.origin}`)).toBe("null");
});

test("the pages run nothing but their own files", async ({ page }) => {
  await beGuest(page);
  const made = await makeHook(page);
  for (const path of ["/", "/hooks", `/hooks/${made.id}`, "/settings", "/health", "/nowhere"]) {
    const answer = await page.request.get(path, { headers: { accept: "text/html" } });
    const policy = answer.headers()["content-security-policy"] ?? "";
    expect(policy, path).toContain("script-src 'self'");
    expect(policy, path).toContain("default-src 'none'");
    expect(policy, path).not.toContain("unsafe");
    expect(policy, path).not.toMatch(/script-src[^;]*('nonce|\*|data:)/);
  }
});

test("a script that found its way into a page is not run", async ({ page, voice }) => {
  await beGuest(page);
  const made = await makeHook(page);
  await hookPage(page).open(made.id);
  await voice.expecting([/Content Security Policy/], async () => {
    await page.evaluate(() => {
      document.body.insertAdjacentHTML("beforeend", '<img src="data:," onerror="window.ran = 1">');
      const script = document.createElement("script");
      script.textContent = "window.ran = 1";
      document.body.append(script);
    });
    await page.waitForTimeout(300);
  });
  expect(await page.evaluate(() => (window as { ran?: unknown }).ran)).toBeUndefined();
});
