// A tab of the page of jobs in Debian's Chromium, and bare Web Workers beside it.
// node tab.mjs URL PLAYWRIGHT EMPTY_JOBS BUSY_JOBS prints {"p50Ms", "dispatchedMs", "busyPerS", "barePerS"}.

import { createRequire } from "node:module";

const [url, playwright, empty, busy] = process.argv.slice(2);
const { chromium } = createRequire(playwright)("@playwright/test");
const THREADS = 4;
// About 20 ms.
const BUSY = "let x = 1; for (let i = 0; i < 1e7; i++) x = (Math.imul(x, 31) + i) | 0; return x;";

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const context = await browser.newContext();
const json = { "content-type": "application/json" };
const guest = await fetch(`${url}/api/auth/guest-user`, { method: "POST", headers: json, body: "{}" });
const token = (await guest.json()).jwt;
await context.addCookies(
  guest.headers.getSetCookie().map((cookie) => {
    const [name, ...value] = cookie.split(";")[0].split("=");
    return { name, value: value.join("="), url };
  }),
);
const tab = await context.newPage();
await tab.goto(`${url}/jobs`);

async function call(method, path, body) {
  const headers = { ...json, authorization: token };
  const response = await fetch(url + path, { method, headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

async function run(job) {
  const { id } = await call("POST", "/api/jobs", { where: "tab", ...job });
  for (;;) {
    const seen = await call("GET", `/api/jobs/${id}?wait=25`);
    if (seen.status === "done") return new Date(seen.finishedAt) - new Date(seen.startedAt);
    if (seen.status !== "queued" && seen.status !== "leased") throw new Error(JSON.stringify(seen));
  }
}

const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
for (let n = 0; n < 50; n++) await run({ code: "" });
const [took, dispatched] = [[], []];
for (let n = 0; n < Number(empty); n++) {
  const begun = performance.now();
  dispatched.push(await run({ code: "" }));
  took.push(performance.now() - begun);
}

const inputs = Array(Number(busy)).fill(null);
const through = async () => {
  const begun = performance.now();
  await run({ code: BUSY, inputs });
  return (inputs.length / (performance.now() - begun)) * 1e3;
};

const blank = await context.newPage();
await blank.goto("about:blank");
// Made once, as the page's threads are: what is compiled stays so.
await blank.evaluate(
  ([code, threads]) => {
    const script = `const f = new Function(${JSON.stringify(code)}); onmessage = () => postMessage(f());`;
    const source = URL.createObjectURL(new Blob([script]));
    window.bare = Array.from({ length: threads }, () => new Worker(source));
  },
  [BUSY, THREADS],
);
const bare = () =>
  blank.evaluate(async (jobs) => {
    let [given, over] = [0, 0];
    const begun = performance.now();
    await new Promise((resolve) => {
      const give = (worker) => given++ < jobs && worker.postMessage(null);
      for (const worker of window.bare) {
        worker.onmessage = () => (++over === jobs ? resolve() : give(worker));
        give(worker);
      }
    });
    return (jobs / (performance.now() - begun)) * 1e3;
  }, inputs.length);

// In turn, so that both meet the same machine.
const [busyPerS, barePerS] = [[], []];
for (let round = 0; round < 5; round++) {
  barePerS.push(await bare());
  busyPerS.push(await through());
}
const p50s = { p50Ms: median(took), dispatchedMs: median(dispatched) };
console.log(JSON.stringify({ ...p50s, busyPerS: median(busyPerS), barePerS: median(barePerS) }));
await browser.close();
