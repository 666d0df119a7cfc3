/** Every open tab of the page of jobs is a worker: it takes its turn, loses nothing, and lets no script out. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { BrowserContext, Page } from "@playwright/test";
import { beGuest } from "./hook.ts";
import { all, JobsPage, over, read, spin, submit, tabs } from "./jobs.ts";
import { expect, test } from "./journey.ts";

/** Of a lease, and a second. */
const REDISPATCH_MS_MAX = 11_000;

/** Three tabs of one browser, each a worker. */
async function three(page: Page, context: BrowserContext): Promise<[JobsPage, JobsPage, JobsPage]> {
  await beGuest(page);
  const opened = [page, await context.newPage(), await context.newPage()].map((page) => new JobsPage(page));
  for (const tab of opened) await tab.open();
  return opened as [JobsPage, JobsPage, JobsPage];
}

test("jobs go to the open tabs in turn", async ({ page, context }) => {
  const [first] = await three(page, context);
  await expect(first.workers.getByRole("row")).toHaveCount(4);
  const ran: (string | null | undefined)[] = [];
  for (let n = 0; n < 6; n++) ran.push((await over(page, await submit(page, { code: "input * 2", input: n }))).worker);
  expect(new Set(ran.slice(0, 3)).size, ran.join(" ")).toBe(3);
  expect(ran.slice(3), "and round again").toEqual(ran.slice(0, 3));
});

test("one script over many inputs uses all three tabs at once", async ({ page, context }) => {
  const opened = await three(page, context);
  const inputs = Array.from({ length: 12 }, (_, input) => input);
  const id = await submit(page, { code: spin(4_000), inputs });
  const busy = () => Promise.all(opened.map(({ doing }) => doing.filter({ hasNotText: "idle" }).count()));
  await expect.poll(busy, { intervals: [50] }).toEqual([4, 4, 4]);
  expect((await tabs(page)).map(({ running }) => running)).toEqual([4, 4, 4]);
  expect((await over(page, id, 30_000)).result).toEqual(inputs);
});

test("Cancel job ends one that runs, and its thread is free for the next", async ({ page }) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  await jobs.threads.fill("1");
  await expect.poll(async () => (await tabs(page))[0]?.threads).toBe(1);
  const id = await submit(page, { code: "while (true);", name: "without end", timeoutMs: 60_000 });
  await expect(jobs.doing.filter({ hasNotText: "idle" })).toHaveCount(1);
  await jobs.row("without end").click();
  const sheet = jobs.sheet("without end");
  await sheet.getByRole("button", { name: "Cancel job" }).click();
  await expect(sheet.getByText("cancelled", { exact: true })).toBeVisible();
  await expect(sheet.getByRole("button", { name: "Cancel job" })).toHaveCount(0);
  await expect(jobs.doing.filter({ hasNotText: "idle" })).toHaveCount(0);
  expect((await read(page, id)).status).toBe("cancelled");
  expect((await over(page, await submit(page, { code: "1 + 1" }))).result).toBe(2);
});

test("a tab is never given more than it has threads, and jobs that wait find one that is free", async ({ page }) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  await jobs.threads.fill("2");
  await expect.poll(async () => (await tabs(page))[0]?.threads).toBe(2);
  const ids = await Promise.all([1, 2, 3, 4, 5].map((input) => submit(page, { code: spin(800), input })));
  await expect.poll(async () => (await tabs(page))[0]?.running).toBe(2);
  await expect(jobs.doing.filter({ hasNotText: "idle" })).toHaveCount(2);
  await expect(page.getByText(/for a thread$/), "none was given too early").toHaveCount(0);
  const ended = await Promise.all(ids.map((id) => over(page, id)));
  expect(ended.map(({ result }) => result)).toEqual([1, 2, 3, 4, 5]);
});

test("a tab that is closed in the middle of a job: another one does it, and there is one result", async ({
  page,
  context,
}) => {
  const [first, ...others] = await three(page, context);
  const id = await submit(page, { code: spin(2_500, "42"), name: "a long one" });
  const both = [first, ...others];
  await expect.poll(async () => (await read(page, id)).status).toBe("leased");
  const busy = async () => {
    for (const tab of both) if ((await tab.doing.filter({ hasNotText: "idle" }).count()) > 0) return tab;
    return undefined;
  };
  await expect.poll(async () => (await busy()) !== undefined).toBe(true);
  const closed = await busy();
  const before = (await read(page, id)).worker;
  const asker = both.find((tab) => tab !== closed)?.page ?? page;
  const closedAt = Date.now();
  await closed?.page.close();
  await expect
    .poll(async () => (await read(asker, id)).worker ?? before, { timeout: REDISPATCH_MS_MAX, intervals: [50] })
    .not.toBe(before);
  console.log(`given to another tab ${Date.now() - closedAt} ms after the first one was closed`);
  const job = await over(asker, id);
  expect(job).toMatchObject({ status: "done", result: 42, attempts: 2 });
  expect((await all(asker)).filter((job) => job.id === id || job.name === "a long one")).toHaveLength(1);
});

test("an endless loop costs its thread, and the page answers meanwhile", async ({ page }) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  const started = Date.now();
  const id = await submit(page, { code: "while (true);", name: "endless", timeoutMs: 4_000 });
  await expect(jobs.doing.filter({ hasNotText: "idle" })).toHaveCount(1);
  const clicked = Date.now();
  await jobs.row("endless").click();
  await expect(jobs.sheet("endless")).toContainText("running");
  expect(Date.now() - clicked, "ms for a click").toBeLessThan(2_500);
  const job = await over(page, id);
  expect(Date.now() - started).toBeLessThan(8_000);
  expect(job.status).toBe("timed_out");
  expect(job.error?.name).toBe("TimeoutError");
  await expect(jobs.sheet("endless").getByRole("region", { name: "Error" })).toContainText("TimeoutError");
  await expect(jobs.doing.filter({ hasNotText: "idle" })).toHaveCount(0);
  expect((await over(page, await submit(page, { code: "1 + 1" }))).result).toBe(2);
});

test("a frame that broke down is there again, with what it had to do", async ({ page }) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  expect((await over(page, await submit(page, { code: "1" }))).result).toBe(1);
  await page.locator("iframe").evaluate((frame: HTMLIFrameElement) => {
    frame.src = "about:blank";
  });
  const lost = await submit(page, { code: "2", timeoutMs: 1_000 });
  const found = await submit(page, { code: "3", timeoutMs: 9_000 });
  expect((await over(page, lost)).status).toBe("timed_out");
  expect((await over(page, found)).result).toBe(3);
});

test("threads come and go, and no job is forgotten", async ({ page }) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  const ids = await Promise.all(Array.from({ length: 10 }, (_, input) => submit(page, { code: spin(400), input })));
  await expect(jobs.doing.filter({ hasNotText: "idle" })).toHaveCount(4);
  await jobs.threads.fill("1");
  await expect(jobs.doing).toHaveCount(1);
  await jobs.threads.fill("6");
  await expect(jobs.doing).toHaveCount(6);
  await jobs.threads.fill("3");
  const ended = await Promise.all(ids.map((id) => over(page, id)));
  expect(ended.map(({ result }) => result)).toEqual(ids.map((_, input) => input));
  expect(ended.map(({ attempts }) => attempts)).toEqual(ids.map(() => 1));
  await expect(jobs.doing).toHaveCount(3);
});

test("a script is the body of a function, defines main, or is an expression", async ({ page }) => {
  await beGuest(page);
  await new JobsPage(page).open();
  const of = async (code: string) => over(page, await submit(page, { code, input: { n: 20 } }));
  expect((await of("const twice = input.n * 2; return await Promise.resolve(twice);")).result).toBe(40);
  expect((await of("function main({ n }) { return n + 1; }")).result).toBe(21);
  expect((await of("const half = 2;\nconst main = async ({ n }) => n / half;")).result).toBe(10);
  expect((await of("input.n - 1 // less")).result).toBe(19);
  expect((await of("input.n ** 2; // twice")).result).toBe(400);
  expect((await of("({ n }) => ({ n })")).result).toEqual({ n: 20 });
  expect((await of("await Promise.resolve(null)")).result ?? null).toBe(null);
  const failed = await of("const a = 1;\nthrow new RangeError('too far');");
  expect(failed).toMatchObject({ status: "failed", error: { name: "RangeError", message: "too far" } });
  expect(failed.error?.stack).toContain("job.js:2:");
  expect((await of("return 10n ** 20n")).error?.name).toBe("TypeError");
  expect((await of("setTimeout(() => { throw new Error('later') }); await new Promise(() => {})")).error?.message).toBe(
    "later",
  );
  expect((await of("'x'.repeat(2_000_000)")).error?.message).toContain("1 MiB");
});

test("what a script leaves behind meets no other script", async ({ page }) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  await jobs.threads.fill("1");
  await expect(jobs.doing).toHaveCount(1);
  const of = async (code: string) => (await over(page, await submit(page, { code }))).result;
  expect(await of("globalThis.left = 1; Array.prototype.push = () => 7; setInterval(() => {}, 1); return 1")).toBe(1);
  const count = "globalThis.times = (globalThis.times ?? 0) + 1; return times";
  expect([await of(count), await of(count)], "nor itself").toEqual([1, 1]);
  expect(await of("[typeof left, [].push(1)]")).toEqual(["undefined", 1]);
});

test("what a script writes and how far it is are seen while it runs", async ({ page }) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  await jobs.write(
    "// slow\nconsole.warn('it begins', { n: 1 });\nprogress(3, 10, 'well on the way');\nawait new Promise((done) => setTimeout(done, 1500));\nreturn [1, 2]",
  );
  await jobs.run.click();
  const bar = jobs.lastRun.getByRole("progressbar");
  await expect(bar).toHaveAttribute("aria-valuenow", "3");
  await expect(jobs.lastRun).toContainText("well on the way");
  await jobs.row("slow").click();
  await expect(jobs.sheet("slow")).toContainText('it begins {"n":1}');
  await expect(jobs.sheet("slow").getByRole("tree", { name: "Result" })).toContainText("2 items");
  await expect(jobs.sheet("slow")).toContainText("warn");
  await page.keyboard.press("Escape");
  await expect(jobs.lastRun.getByRole("tree", { name: "Result" })).toBeVisible();
});

test("what does not parse is refused, and the line is shown", async ({ page, voice }) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  await jobs.write("return 1 +;");
  await voice.expecting([/status of 400/], async () => {
    await jobs.run.click();
    await expect(page.getByRole("alert")).toContainText(/line \d/i);
  });
  await expect(jobs.code.locator(".cm-lintRange-error")).toHaveCount(1);
  await expect(page.getByText("No jobs yet")).toBeVisible();
  await jobs.write("input", "{ not json");
  await jobs.run.click();
  await expect(page.getByText("This is not JSON.")).toBeVisible();
});

test("one script over many inputs: three tabs, one progress bar, results in order, and a picture", async ({
  page,
  context,
}) => {
  const [first] = await three(page, context);
  await page.bringToFront();
  await page.getByRole("combobox", { name: "Example" }).selectOption("Pi by chance, with a picture");
  await page.getByRole("combobox", { name: "Where" }).selectOption("tab");
  await first.run.click();
  await expect(first.lastRun.getByRole("progressbar")).toHaveCount(1);
  await expect(first.lastRun.getByRole("progressbar")).toHaveAttribute("aria-valuemax", "16");
  await expect(first.lastRun.getByText("done", { exact: true })).toBeVisible({ timeout: 40_000 });
  await expect(first.lastRun.getByRole("img", { name: /^Result \d+$/ })).toHaveCount(16);
  const pi = first.lastRun.getByRole("row", { name: /^pi / }).getByRole("cell").last();
  expect(Math.abs(Number(await pi.textContent()) - Math.PI)).toBeLessThan(0.01);
  const id = await submit(page, { code: "[input, input ** 2]", inputs: [3, 1, 2] });
  expect((await over(page, id)).result).toEqual([
    [3, 9],
    [1, 1],
    [2, 4],
  ]);
});

test("a result comes back to a page that was loaded again", async ({ page }) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  await jobs.write(`// patience\n${spin(1_500, "'arrived'")}`, "null");
  await jobs.run.click();
  await expect(jobs.lastRun).toContainText("running");
  await page.reload();
  await expect(jobs.lastRun.getByRole("tree", { name: "Result" })).toContainText("arrived", { timeout: 20_000 });
  await expect(jobs.row("patience")).toContainText("done");
  expect(await all(page)).toHaveLength(1);
});

test("without a server: local mode, also when loaded again, and what was done is delivered once", async ({
  page,
  server,
  voice,
}) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
  });
  await jobs.write("// at home\nconsole.log('no server'); return input.map((n) => n + 1);", "[1, 2]");
  await voice.whileAway(async () => {
    await server.kill();
    await expect(jobs.localMode).toBeVisible();
    await jobs.run.click();
    await expect(jobs.row("at home")).toContainText("done");
    await jobs.row("at home").click();
    await expect(jobs.sheet("at home")).toContainText("no server");
    await page.keyboard.press("Escape");

    await page.reload();
    await expect(jobs.localMode).toBeVisible();
    await expect(jobs.row("at home")).toContainText("done");
    await jobs.write("// at home again\nreturn input", '"me"');
    await jobs.run.click();
    await expect(jobs.row("at home again")).toContainText("done");

    await server.startAgain();
    await expect(jobs.localMode).toHaveCount(0);
    await jobs.connected();
  });
  await expect.poll(async () => (await all(page)).length).toBe(2);
  await page.reload();
  await jobs.connected();
  await expect(jobs.row("at home")).toHaveCount(2);
  const known = await all(page);
  expect(known.map(({ name, status }) => `${name}: ${status}`).sort()).toEqual([
    "at home again: done",
    "at home: done",
  ]);
  const first = known.find(({ name }) => name === "at home");
  expect((await read(page, first?.id ?? "")).result).toEqual([2, 3]);
  await expect(jobs.lastRun.getByRole("tree", { name: "Result" })).toContainText("me");
});

test("without a server, and without what the browser itself kept of it, jobs run in a frame as closed", async ({
  page,
  server,
  voice,
}) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
  });
  const browser = await page.context().newCDPSession(page);
  await voice.whileAway(async () => {
    await server.kill();
    await browser.send("Network.clearBrowserCache");
    await page.reload();
    await expect(jobs.localMode).toBeVisible();
    await jobs.write("// alone\nreturn [self.origin, await fetch('/jobs').then(() => 'reached', () => 'refused')]");
    await voice.expecting([/.*/], async () => {
      await jobs.run.click();
      await expect(jobs.row("alone")).toContainText('["null","refused"]', { timeout: 15_000 });
    });
  });
  expect(await page.locator("iframe").evaluate((frame: HTMLIFrameElement) => frame.contentDocument)).toBe(null);
});

test("a job that runs when the server goes away goes on, and has one result", async ({ page, server, voice }) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  await jobs.write(`// in flight\n${spin(4_000, "'landed'")}`, "null");
  await jobs.run.click();
  await expect(jobs.doing.filter({ hasText: /flight|[0-9a-f]{8}/ })).toHaveCount(1);
  await voice.whileAway(async () => {
    await server.kill();
    await expect(jobs.localMode).toBeVisible();
    await expect(jobs.doing.filter({ hasNotText: "idle" }), "it goes on").toHaveCount(1);
    await expect(jobs.doing.filter({ hasNotText: "idle" })).toHaveCount(0, { timeout: 10_000 });
    await server.startAgain();
    await jobs.connected();
  });
  const known = await all(page);
  expect(known).toHaveLength(1);
  const job = await over(page, known[0]?.id ?? "", 30_000);
  expect(job).toMatchObject({ status: "done", result: "landed" });
  await expect(jobs.row("in flight")).toContainText("done");
});

test("a job that waits when the server goes away is done here, and is there once", async ({ page, server, voice }) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  await jobs.threads.fill("1");
  await submit(page, { code: spin(8_000), name: "in front" });
  await expect(jobs.doing.filter({ hasNotText: "idle" })).toHaveCount(1);
  await jobs.write("// behind\nreturn 'me, too'", "null");
  await jobs.run.click();
  await expect(jobs.row("behind")).toContainText("queued");
  await voice.whileAway(async () => {
    await server.kill();
    await expect(jobs.localMode).toBeVisible();
    await expect(jobs.row("behind")).toContainText("done", { timeout: 15_000 });
    await server.startAgain();
    await jobs.connected();
  });
  await expect
    .poll(async () => (await all(page)).filter(({ name, status }) => name === "behind" && status === "done").length, {
      timeout: 20_000,
    })
    .toBe(1);
  await expect(jobs.lastRun.getByRole("tree", { name: "Result" })).toContainText("me, too");
});

test("where a server answers, the page is its own; and nothing but files is ever kept", async ({ page }) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  const kept = await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
    const paths = [];
    for (const name of await caches.keys()) {
      for (const { url } of await (await caches.open(name)).keys()) paths.push(new URL(url).pathname);
    }
    return paths;
  });
  expect(kept).toContain("/jobs");
  expect(kept.filter((path) => !/^\/(jobs$|jobs\/threads-|assets\/)/.test(path))).toEqual([]);
  // Controlled now, and still the server's own page is the one that is shown.
  const answer = await page.reload();
  expect(answer?.fromServiceWorker()).toBe(true);
  await expect(page.locator("script[type=module]")).toHaveAttribute("src", /^\/assets\//);
});

/** Each tries to reach something, and comes to what it reached. */
const REACH = `
const { own, other } = input;
const tries = {
  "fetch of the dashboard": () => fetch(own + "/api/auth/me", { credentials: "include" }),
  "fetch without cors": () => fetch(own + "/api/auth/me", { mode: "no-cors", credentials: "include" }),
  "fetch of elsewhere": () => fetch(other + "/fetch", { mode: "no-cors" }),
  "XMLHttpRequest": () => new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.onload = done;
    request.onerror = () => fail(new Error("refused"));
    request.open("GET", other + "/xhr");
    request.send();
  }),
  "WebSocket": () => new Promise((done, fail) => {
    const socket = new WebSocket(own.replace("http", "ws") + "/job-events");
    socket.onopen = done;
    socket.onerror = () => fail(new Error("refused"));
  }),
  "WebSocket elsewhere": () => new Promise((done, fail) => {
    const socket = new WebSocket(other.replace("http", "ws") + "/ws");
    socket.onopen = done;
    socket.onerror = () => fail(new Error("refused"));
  }),
  "EventSource": () => new Promise((done, fail) => {
    const source = new EventSource(other + "/events");
    source.onopen = done;
    source.onerror = () => { source.close(); fail(new Error("refused")); };
  }),
  "WebTransport": () => new WebTransport(other.replace("http:", "https:") + "/transport").ready,
  "importScripts": () => importScripts(other + "/import-scripts"),
  "importScripts of the dashboard": () => importScripts(own + "/api/auth/me"),
  "import": () => import(other + "/import"),
  "import of the dashboard": () => import(own + "/jobs"),
  "import of data": () => import("data:text/javascript,export default 1"),
  "sendBeacon": () => { if (!navigator.sendBeacon(other + "/beacon")) throw new Error("refused"); },
  "WebRTC": () => new RTCPeerConnection({ iceServers: [{ urls: "stun:127.0.0.1:3478" }] }).createOffer(),
  "a font": () => new FontFace("a", "url(" + other + "/font)").load(),
  "a worker from elsewhere": () => new Promise((done, fail) => {
    const worker = new Worker(other + "/worker");
    worker.onmessage = done;
    worker.onerror = () => fail(new Error("refused"));
  }),
  "a worker of the dashboard": () => new Promise((done, fail) => {
    const worker = new Worker(own + "/service-worker.js");
    worker.onmessage = done;
    worker.onerror = () => fail(new Error("refused"));
  }),
  "a worker of data": () => new Promise((done, fail) => {
    const worker = new Worker("data:text/javascript,postMessage(1)");
    worker.onmessage = done;
    worker.onerror = () => fail(new Error("refused"));
  }),
  "a fetch within a worker within": () => new Promise((done, fail) => {
    const code = "fetch('" + other + "/within', { mode: 'no-cors' }).then(() => postMessage(1), () => postMessage(0))";
    const worker = new Worker(URL.createObjectURL(new Blob([code])));
    worker.onmessage = ({ data }) => data ? done() : fail(new Error("refused"));
    worker.onerror = () => fail(new Error("refused"));
  }),
  "a shared worker": () => new SharedWorker(other + "/shared"),
  "a service worker": () => navigator.serviceWorker.register(own + "/service-worker.js"),
  "document": () => document.cookie,
  "cookieStore": () => cookieStore.getAll(),
  "localStorage": () => localStorage.length,
  "sessionStorage": () => sessionStorage.length,
  "IndexedDB": () => new Promise((done, fail) => {
    const request = indexedDB.open("everfold-jobs");
    request.onsuccess = done;
    request.onerror = () => fail(request.error);
  }),
  "caches": () => caches.keys(),
  "files": () => navigator.storage.getDirectory(),
  "locks": () => navigator.locks.query(),
  "window": () => window.document,
  "parent": () => parent.document,
  "opener": () => opener.document,
  "top": () => top.document,
  "frames": () => frames.length,
  "postMessage": () => postMessage("result"),
  "close": () => close(),
  "eval of a fetch": () => (0, eval)("fetch('" + other + "/eval', { mode: 'no-cors' })"),
};
const reached = {};
for (const [name, reach] of Object.entries(tries)) {
  const late = new Promise((_, fail) => setTimeout(() => fail(new Error("nothing came")), 1000));
  try {
    await Promise.race([reach(), late]);
    reached[name] = "reached";
  } catch (error) {
    reached[name] = String(error?.name ?? error);
  }
}
new BroadcastChannel("everfold-jobs").postMessage("forged");
return { reached, origin: self.origin };
`;

test("a script reaches no cookie, storage, page or network", async ({ page, server, voice }) => {
  await beGuest(page);
  const heard: string[] = [];
  const elsewhere = createServer((request, response) => {
    heard.push(request.url ?? "");
    response.setHeader("access-control-allow-origin", "*").end();
  });
  elsewhere.on("upgrade", (request, socket) => {
    heard.push(request.url ?? "");
    socket.destroy();
  });
  await new Promise<void>((listening) => elsewhere.listen(0, "127.0.0.1", listening));
  const other = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
  const jobs = new JobsPage(page);
  await jobs.open();
  const asked: string[] = [];
  // What a policy refuses is announced, and fails.
  page.on("requestfinished", (request) => {
    if (request.frame() !== page.mainFrame()) asked.push(request.url());
  });
  await voice.expecting([/.*/], async () => {
    const id = await submit(page, { code: REACH, input: { own: server.url, other }, name: "reaches out" });
    const job = await over(page, id, 50_000);
    const { reached, origin } = job.result as { reached: Record<string, string>; origin: string };
    expect(Object.entries(reached).filter(([, came]) => came === "reached")).toEqual([]);
    expect(Object.keys(reached).length).toBeGreaterThan(35);
    expect(origin).toBe("null");
  });
  elsewhere.close();
  expect(heard, "elsewhere hears nothing").toEqual([]);
  expect(asked.filter((url) => !url.startsWith("blob:"))).toEqual([]);

  const frame = page.locator("iframe");
  await expect(frame).toHaveAttribute("sandbox", "allow-scripts");
  expect(await frame.evaluate((frame: HTMLIFrameElement) => frame.contentDocument)).toBe(null);
  await expect(jobs.row("reaches out")).toContainText("done");
});

test("a script that says too much, or speaks for another, is not believed", async ({ page }) => {
  await beGuest(page);
  const jobs = new JobsPage(page);
  await jobs.open();
  const loud = await over(page, await submit(page, { code: "for (let n = 0; n < 1e5; n++) console.log(n); return 1" }));
  expect(loud.result).toBe(1);
  expect(loud.console.length).toBeLessThanOrEqual(1_000);
  const forged = `
    const seen = [];
    const post = MessagePort.prototype.postMessage;
    MessagePort.prototype.postMessage = function (...said) { seen.push(this); return post.apply(this, said); };
    console.log("speaks");
    for (const port of seen) for (let token = 0; token < 50; token++) port.postMessage({ token, type: "result", text: '"forged"' });
    return seen.length;
  `;
  const victim = submit(page, { code: spin(1_500, "'mine'") });
  expect((await over(page, await submit(page, { code: forged }))).result).toBe(0);
  expect((await over(page, await victim)).result).toBe("mine");
});
