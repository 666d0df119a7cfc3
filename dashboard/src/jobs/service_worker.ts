/**
 * Keeps the page of jobs there while the server is away: its files, and the page as it was last seen.
 *
 * The page itself is asked of the server first, so a new build is there at the next visit; its files carry their hashes
 * in their names. All else, `/api` above all, goes past here. Built by itself (vite.config.ts), once for each build.
 */

import type { ServiceWorkerScope, WaitingEvent, AskingEvent } from "./service_worker_types.ts";

/** The files of this build that the page needs: put here by vite.config.ts. */
declare const FILES: readonly string[];

const scope = self as unknown as ServiceWorkerScope;
const CACHE = "everfold-jobs";
const PAGE = "/jobs";
/** So many files of older builds are kept for tabs that are still open. */
const OLD_FILES_MAX = 60;

scope.addEventListener("install", (event: WaitingEvent) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then(async (cache) => {
        const known = new Set((await cache.keys()).map(({ url }) => new URL(url).pathname));
        await cache.addAll([
          new Request(PAGE, { headers: { accept: "text/html" } }),
          ...FILES.filter((file) => !known.has(file)),
        ]);
      })
      .then(() => scope.skipWaiting()),
  );
});

scope.addEventListener("activate", (event: WaitingEvent) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then(async (cache) => {
        const old = (await cache.keys()).filter(({ url }) => ![PAGE, ...FILES].includes(new URL(url).pathname));
        await Promise.all(old.slice(0, -OLD_FILES_MAX).map((file) => cache.delete(file)));
      })
      .then(() => scope.clients.claim()),
  );
});

scope.addEventListener("fetch", (event: AskingEvent) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (request.mode === "navigate" && pathname === PAGE) event.respondWith(page(request));
  else if (pathname.startsWith("/assets/") || pathname.startsWith(`${PAGE}/`)) event.respondWith(file(request));
});

/** The server's, which is kept; without a server, the one that was kept. */
async function page(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = () => cache.match(PAGE, { ignoreVary: true });
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put(PAGE, answer.clone());
    return answer.status === 502 || answer.status === 504 ? ((await kept()) ?? answer) : answer;
  } catch (error) {
    const page = await kept();
    if (page) return page;
    throw error;
  }
}

async function file(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request.url, { ignoreVary: true });
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request.url, answer.clone());
  return answer;
}
