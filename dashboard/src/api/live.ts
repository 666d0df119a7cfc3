/** Follows a hook: what the server tells goes into the cache. */

import { type QueryClient, queryOptions, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { listen } from "./line.ts";
import * as queries from "./queries.ts";
import { client } from "./queries.ts";
import type { Hook, HookEvent, Json, Replay } from "./types.ts";

/** Requests that come faster are shown together. */
const FRAME_MS = 120;

/** The newest state, and the request behind which it stands. */
export interface Head {
  seq: number;
  state: Json;
}

const headKey = (id: string) => ["hook", id, "head"] as const;

/** Read once; from then on it is told. */
export const head = (id: string) =>
  queryOptions({
    queryKey: headKey(id),
    queryFn: async (): Promise<Head> => {
      const hook = await client.fetchQuery({ ...queries.hook(id), staleTime: 0 });
      const begin = hook.lastSeq - hook.requestCount;
      if (hook.foldedCount <= begin) return { seq: begin, state: null };
      const { seq, state } = await client.fetchQuery({ ...queries.request(id, hook.foldedCount), staleTime: 0 });
      return { seq, state };
    },
    staleTime: Number.POSITIVE_INFINITY,
  });

export function useLive(id: string) {
  const cache = useQueryClient();
  useEffect(() => follow(id, cache), [id, cache]);
}

function follow(id: string, cache: QueryClient): () => void {
  let frame: ReturnType<typeof setTimeout> | undefined;
  let waiting: HookEvent[] = [];
  const show = () => {
    frame = undefined;
    const events = waiting;
    waiting = [];
    take(id, cache, events);
  };
  const hangUp = listen({
    path: `/hook-events?hookId=${id}`,
    // What was missed while nobody listened: between the page's first look and now, or while the server was away.
    onUp: (wasDown) => void cache.invalidateQueries(wasDown ? {} : { queryKey: ["hook", id] }),
    onFrame: (text) => {
      waiting.push(JSON.parse(text) as HookEvent);
      frame ??= setTimeout(show, FRAME_MS);
    },
  });
  return () => {
    hangUp();
    clearTimeout(frame);
  };
}

function take(id: string, cache: QueryClient, events: HookEvent[]) {
  let newest = 0;
  let folded = 0;
  let isNew = false;
  const pages = new Set<number>();
  for (const event of events) {
    switch (event.type) {
      case "new-request": {
        const { seq, state, stateHash } = event.request;
        newest = Math.max(newest, seq);
        pages.add(Math.floor((seq - 1) / queries.REQUESTS_PAGE));
        // Without a hash it has arrived, and is not folded.
        if (stateHash !== null) {
          folded = seq;
          cache.setQueryData<Head>(headKey(id), { seq, state });
        }
        break;
      }
      case "bulk-update":
        isNew = true;
        break;
      case "replay": {
        const { type: _type, hookId: _hook, ...replay } = event;
        cache.setQueryData<Replay>(queries.replay(id).queryKey, replay);
        if (replay.status !== "running") isNew = true;
        break;
      }
    }
  }
  if (isNew) {
    void cache.invalidateQueries({ queryKey: ["hook", id] });
    return;
  }
  if (newest === 0) return;
  cache.setQueryData<Hook>(queries.hook(id).queryKey, (hook) => {
    if (!hook || newest <= hook.lastSeq) return hook;
    const requestCount = hook.requestCount + newest - hook.lastSeq;
    return { ...hook, requestCount, lastSeq: newest, foldedCount: Math.max(hook.foldedCount, folded) };
  });
  // What was asked for before this was told may be older, and comes after it: then it is asked for again.
  for (const queryKey of [queries.hook(id).queryKey, headKey(id)]) {
    if (cache.isFetching({ queryKey, exact: true }) > 0) void cache.invalidateQueries({ queryKey, exact: true });
  }
  for (const page of pages) void cache.invalidateQueries({ queryKey: queries.requests(id, page).queryKey });
  for (const what of ["console", "series", "activity"]) {
    void cache.invalidateQueries({ queryKey: ["hook", id, what] });
  }
}
