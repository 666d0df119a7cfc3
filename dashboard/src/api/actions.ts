/** What pages read of actions: which there are, how their runs go, and what is queued for people to begin. */

import { infiniteQueryOptions, type QueryClient, queryOptions, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { call } from "./http.ts";
import { listen } from "./line.ts";
import { entered } from "./session.ts";
import type { Action, Page, Queued, RunBrief } from "./types.ts";

/** Lists that are told of together are read anew together, and no more often than this. */
const TOLD_MS = 300;
/** Nobody tells when a host comes or goes, or queues something. */
const UNTOLD_MS = 10_000;

export const actions = queryOptions({
  queryKey: ["actions"],
  queryFn: () => call<Page<Action>>("GET", "/api/actions").then(({ objects }) => objects),
  refetchInterval: ({ state }) => (state.error ? false : UNTOLD_MS),
});

const runsPath = (token: string | null, isOpen: boolean) => {
  const search = new URLSearchParams();
  if (isOpen) search.set("status", "open");
  if (token !== null) search.set("token", token);
  return `/api/runs${search.size > 0 ? `?${search}` : ""}`;
};

/** The newest first: all of them, or those that are not over. */
export const runs = (isOpen: boolean) =>
  infiniteQueryOptions({
    queryKey: ["runs", isOpen ? "open" : "all"],
    queryFn: ({ pageParam, signal }) => call<Page<RunBrief>>("GET", runsPath(pageParam, isOpen), undefined, signal),
    initialPageParam: null as string | null,
    getNextPageParam: ({ nextToken }) => nextToken,
  });

/** The newest that are not over: as many as stand on one page of the list. */
export const openRuns = queryOptions({
  queryKey: ["runs", "newest open"],
  queryFn: () => call<Page<RunBrief>>("GET", runsPath(null, true)).then(({ objects }) => objects),
});

export const recentRuns = queryOptions({
  queryKey: ["runs", "newest"],
  queryFn: () => call<Page<RunBrief>>("GET", runsPath(null, false)).then(({ objects }) => objects),
});

export const queue = queryOptions({
  queryKey: ["queue"],
  queryFn: () => call<Page<Queued>>("GET", "/api/queue").then(({ objects }) => objects),
  refetchInterval: ({ state }) => (state.error ? false : UNTOLD_MS),
});

export const beginQueued = (id: string) =>
  call<{ id: string; url: string }>("POST", `/api/queue/${encodeURIComponent(id)}/runs`, {});

/** Those that wait for a person, be it to answer or to decide what becomes of them. */
export function waiting(runs: readonly RunBrief[]): RunBrief[] {
  return runs.filter(({ status }) => status === "waiting" || status === "parked");
}

/** As a link writes it: the slashes of a slug are those of the address. */
export const pathOf = (slug: string) => slug.split("/").map(encodeURIComponent).join("/");

let listeners = 0;
let hangUp = () => {};

/** As long as somebody looks at lists of runs, the server tells when they are others. One line serves all. */
export function useRunsTold() {
  const cache = useQueryClient();
  useEffect(() => {
    if (listeners === 0) hangUp = follow(cache);
    listeners += 1;
    return () => {
      listeners -= 1;
      if (listeners === 0) hangUp();
    };
  }, [cache]);
}

function follow(cache: QueryClient): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    timer = undefined;
    for (const key of ["runs", "queue", "schedules"]) void cache.invalidateQueries({ queryKey: [key] });
  };
  const line = {
    path: "/run-events",
    onUp: (wasDown: boolean) => void (wasDown ? cache.invalidateQueries() : look()),
    onFrame: () => {
      timer ??= setTimeout(look, TOLD_MS);
    },
  };
  let isOver = false;
  let end = () => {};
  // Who is here for the first time is nobody yet; and to whom the server is closed, nothing is told.
  entered().then(
    () => {
      if (!isOver) end = listen(line);
    },
    () => {},
  );
  return () => {
    isOver = true;
    end();
    clearTimeout(timer);
  };
}
