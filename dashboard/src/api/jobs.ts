/** What pages read of jobs, and tell the server of them: which there are, how they go, and what they run on. */

import {
  type InfiniteData,
  infiniteQueryOptions,
  type QueryClient,
  queryOptions,
  useQueryClient,
} from "@tanstack/react-query";
import { useEffect } from "react";
import { call } from "./http.ts";
import { listenAsOneself } from "./line.ts";
import type { Job, JobBrief, JobEvent, JobWorker, Json, Page, Where } from "./types.ts";

/** What is told faster is shown together. */
const FRAME_MS = 120;
/** Nobody tells when a worker comes or goes. */
const UNTOLD_MS = 1_500;

const jobPath = (id: string) => `/api/jobs/${encodeURIComponent(id)}`;

/** The newest first. */
export const jobs = infiniteQueryOptions({
  queryKey: ["jobs"],
  queryFn: ({ pageParam, signal }) => {
    const search = pageParam === null ? "" : `?token=${encodeURIComponent(pageParam)}`;
    return call<Page<JobBrief>>("GET", `/api/jobs${search}`, undefined, signal);
  },
  initialPageParam: null as string | null,
  getNextPageParam: ({ nextToken }) => nextToken ?? null,
});

/** Read once; from then on it is told. */
export const job = (id: string) =>
  queryOptions({
    queryKey: ["job", id],
    queryFn: ({ signal }) => call<Job>("GET", jobPath(id), undefined, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const workers = queryOptions({
  queryKey: ["workers"],
  queryFn: ({ signal }) =>
    call<Page<JobWorker>>("GET", "/api/workers", undefined, signal).then(({ objects }) => objects),
  staleTime: 0,
  refetchInterval: ({ state }) => (state.error ? false : UNTOLD_MS),
});

export interface JobOrder {
  code: string;
  input?: Json;
  /** Once for each of these, instead of once. */
  inputs?: Json[];
  name?: string;
  where: Where;
  timeoutMs: number;
  /** So many workers run it, of whom most must agree. */
  verify?: number;
}

export const submitJob = (order: JobOrder) => call<{ id: string; count?: number }>("POST", "/api/jobs", order);

export const cancelJob = (id: string) => call<unknown>("DELETE", jobPath(id));

/** A job that ran where no server was. */
export interface Delivery {
  /** The same however often it is sent. Of a job that the server was given before it was away, its id. */
  key: string;
  name?: string;
  code: string;
  input?: Json;
  result?: Json;
  error?: Job["error"];
  console: Job["console"];
  startedAt: number;
  finishedAt: number;
}

export const deliverJob = (delivery: Delivery) => call<{ id: string }>("POST", "/api/jobs/delivered", delivery);

export const isOver = ({ status }: Pick<JobBrief, "status">) => status !== "queued" && status !== "leased";

/** Follows one's own jobs: what the server tells goes into the cache. */
export function useJobsLive() {
  const cache = useQueryClient();
  useEffect(() => follow(cache), [cache]);
}

function follow(cache: QueryClient): () => void {
  let frame: ReturnType<typeof setTimeout> | undefined;
  const waiting = new Map<string, Job>();
  const show = () => {
    frame = undefined;
    const told = [...waiting.values()];
    waiting.clear();
    take(cache, told);
  };
  const lookAgain = () => {
    for (const key of ["jobs", "job"]) void cache.invalidateQueries({ queryKey: [key] });
  };
  const hangUp = listenAsOneself({
    path: "/job-events",
    // What was missed while nobody listened.
    onUp: (wasDown: boolean) => {
      if (wasDown) void cache.invalidateQueries();
      else lookAgain();
    },
    onFrame: (text: string) => {
      const event = JSON.parse(text) as JobEvent;
      if (event.type === "behind") return lookAgain();
      waiting.set(event.job.id, event.job);
      frame ??= setTimeout(show, FRAME_MS);
    },
  });
  return () => {
    hangUp();
    clearTimeout(frame);
  };
}

function take(cache: QueryClient, told: Job[]) {
  for (const one of told) {
    const { queryKey } = job(one.id);
    // What was asked for before would come after, and be older.
    void cache.cancelQueries({ queryKey });
    if (one.status === "done" && one.result === undefined) void cache.invalidateQueries({ queryKey });
    else cache.setQueryData<Job>(queryKey, (known) => ({ ...known, ...one }));
  }
  cache.setQueryData<InfiniteData<Page<JobBrief>, string | null>>(jobs.queryKey, (known) => {
    if (!known) return known;
    const left = new Map<string, JobBrief>(told.map(({ console: _, ...brief }) => [brief.id, brief]));
    const pages = known.pages.map((page) => ({
      ...page,
      objects: page.objects.map((known) => {
        const newer = left.get(known.id);
        left.delete(known.id);
        return newer ?? known;
      }),
    }));
    const [first, ...others] = pages;
    if (!first) return known;
    const fresh = [...left.values()].toSorted((one, other) => other.createdAt - one.createdAt);
    return { ...known, pages: [{ ...first, objects: [...fresh, ...first.objects] }, ...others] };
  });
  // What was asked for before this was told may be older, and comes after it: then it is asked for again.
  if (cache.isFetching({ queryKey: jobs.queryKey }) > 0) void cache.invalidateQueries({ queryKey: jobs.queryKey });
}
