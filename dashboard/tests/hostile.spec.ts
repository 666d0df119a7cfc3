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

const ELSEWHERE = "https://evil.example";

/** Whatever acts, reaches out or dresses up: and one picture, which a person may agree to. */
const REACHING = `
<form action="${ELSEWHERE}/form"><input name="password" autofocus><button>Go on</button></form>
<iframe src="${ELSEWHERE}/frame"></iframe><object data="${ELSEWHERE}/object"></object><embed src="${ELSEWHERE}/embed">
<link rel="stylesheet" href="${ELSEWHERE}/style.css"><base href="${ELSEWHERE}/"><meta http-equiv="refresh" content="0;url=${ELSEWHERE}/meta">
<style>@import url("${ELSEWHERE}/import.css"); * { background: url("${ELSEWHERE}/style.png") }</style>
<video src="${ELSEWHERE}/video.mp4" poster="${ELSEWHERE}/poster.png"></video><audio src="${ELSEWHERE}/audio.mp3"></audio>
<p style="background: url('${ELSEWHERE}/inline.png'); position: fixed; inset: 0" onclick="window.ran = 1" id="root">words</p>
<svg onload="window.ran = 1"><image href="${ELSEWHERE}/svg.png"/><a href="javascript:window.ran = 1"><text>drawn</text></a></svg>
<a href="javascript:window.ran = 1" onmouseover="window.ran = 1">press</a>
<script>window.ran = 1</script><script src="${ELSEWHERE}/script.js"></script>
<img src="${ELSEWHERE}/picture.png" srcset="${ELSEWHERE}/large.png 2x" alt="a picture" onerror="window.ran = 1" onload="window.ran = 1">
`;

/** Where it is cleaned it is part of no page, and the policy speaks all the same. */
const REFUSED = [/Content Security Policy/];

for (const [what, shown] of [
  ["HTML", `io.display.html("Letter", { html: ${JSON.stringify(REACHING)} })`],
  [
    "Markdown",
    `io.display.markdown(${JSON.stringify(`# Letter\n\n[press too](javascript:window.ran=1)\n\n${REACHING}`)})`,
  ],
]) {
  test(`hostile ${what} of an action does nothing, and loads its one picture for who agrees`, async ({
    page,
    voice,
  }) => {
    const asked: string[] = [];
    await page.route(`${ELSEWHERE}/**`, (route) => {
      asked.push(route.request().url());
      return route.fulfill({ contentType: "image/svg+xml", body: '<svg xmlns="http://www.w3.org/2000/svg"/>' });
    });
    await beGuest(page);
    const code = `export const actions = { letter: async (io) => { await ${shown}; return io.input.text("Read?"); } };`;
    await makeHook(page, { code: code.replaceAll("<", "\\u003c") });
    await voice.expecting(REFUSED, async () => {
      await page.goto("/a/letter");
      await expect(page.getByLabel("Read?")).toBeVisible();
    });
    const main = page.getByRole("main");
    await expect(main.getByText("words", { exact: true })).toBeVisible();

    const held = async () => {
      await expect(
        main.locator("iframe, object, embed, link, base, meta, style, script, video, audio, svg image"),
      ).toHaveCount(0);
      await expect(main.locator("form[action], input[name=password], button:text-is('Go on')")).toHaveCount(0);
      const attributes = await main.evaluate((main) =>
        [...main.querySelectorAll("*")].flatMap(({ attributes }) =>
          [...attributes].map(({ name, value }) => `${name}=${value}`),
        ),
      );
      expect(attributes.filter((one) => /^on|=\s*javascript:|^srcset=|url\(|^id=root$/i.test(one))).toEqual([]);
      for (const words of what === "HTML" ? ["press"] : ["press", "press too"])
        await main.getByText(words, { exact: true }).click();
      expect(await page.evaluate(() => (window as { ran?: unknown }).ran)).toBeUndefined();
      await expect(page).toHaveURL(/\/r\//);
    };
    await held();
    expect(asked, "nobody agreed").toEqual([]);
    await voice.expecting(REFUSED, async () => {
      await main.getByRole("button", { name: "Load images from evil.example" }).click();
      await expect(main.getByRole("img", { name: "a picture" })).toBeAttached();
      await expect.poll(() => asked).toEqual([`${ELSEWHERE}/picture.png`]);
      await held();
    });
    expect(asked).toHaveLength(1);
  });
}

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
