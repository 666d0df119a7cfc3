/** This tab on the page of jobs: its threads, its line to the server as a worker, and local mode where there is none. */

import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState, useSyncExternalStore } from "react";
import { Away } from "../api/http.ts";
import { isOver, type JobOrder, job, jobs, submitJob } from "../api/jobs.ts";
import * as queries from "../api/queries.ts";
import { type Local, openLocal } from "./local.ts";
import { newId } from "./locks.ts";
import { openPool, type Pool, THREADS_MAX } from "./pool.ts";
import { openWorkerLine } from "./worker_line.ts";

export const THREADS = 4;
const THREADS_STORED = "everfold-threads";
const OWNER_STORED = "everfold-jobs-owner";
/** A server that is only being restarted is not away yet. */
const AWAY_MS = 1_200;

export type Standing =
  /** Nobody knows yet. */
  | { kind: "connecting" }
  | { kind: "connected"; workerId: string }
  /** Local mode. */
  | { kind: "local" };

export interface Tab {
  pool: Pool;
  local: Local;
  standing: () => Standing;
  subscribe: (listener: () => void) => () => void;
  resize: (threads: number) => void;
  /** To the server, or, where it does not answer, to this tab itself. */
  submit: (order: JobOrder) => Promise<{ id: string; isLocal: boolean }>;
  close: () => void;
}

export function storedThreads(): number {
  const stored = Number(localStorage.getItem(THREADS_STORED));
  return Number.isInteger(stored) && stored >= 1 && stored <= THREADS_MAX ? stored : THREADS;
}

/** As long as the page is shown, this tab is a worker. */
export function useTab(): Tab | undefined {
  const cache = useQueryClient();
  const [tab, setTab] = useState<Tab>();
  useEffect(() => {
    const opened = openTab(cache);
    setTab(opened);
    return () => {
      setTab(undefined);
      opened.close();
    };
  }, [cache]);
  return tab;
}

export function useStanding({ subscribe, standing }: Tab): Standing {
  return useSyncExternalStore(subscribe, standing);
}

function openTab(cache: QueryClient): Tab {
  const threads = storedThreads();
  const listeners = new Set<() => void>();
  /** What this tab gave the server, and is not over. */
  const submitted = new Map<string, JobOrder>();
  let standing: Standing = { kind: "connecting" };

  const stand = (next: Standing) => {
    standing = next;
    for (const listener of listeners) listener();
  };

  const pool = openPool(threads);
  const local = openLocal({
    pool,
    owner: () => localStorage.getItem(OWNER_STORED),
    onDelivered: () => void cache.invalidateQueries({ queryKey: jobs.queryKey }),
  });

  let awaySince: ReturnType<typeof setTimeout> | undefined;
  const away = () => {
    local.away();
    awaySince ??= setTimeout(() => {
      if (standing.kind === "local") return;
      // Those that the server gave to this tab go on anyhow; the others are begun here. Of many inputs some may be over
      // already, which only the server knows.
      for (const [id, order] of submitted) if (!line.has(id) && !order.inputs) local.submit(order, id);
      submitted.clear();
      stand({ kind: "local" });
    }, AWAY_MS);
  };

  const there = async (workerId: string) => {
    clearTimeout(awaySince);
    awaySince = undefined;
    stand({ kind: "connected", workerId });
    const { id } = await cache.fetchQuery({ ...queries.me, retry: false });
    if (standing.kind !== "connected" || standing.workerId !== workerId) return;
    localStorage.setItem(OWNER_STORED, id);
    await local.deliver(id);
  };

  const line = openWorkerLine({
    pool,
    name: browserName(),
    threads,
    onChange: (workerId) => {
      if (workerId === undefined) away();
      // Where it went away meanwhile, the line says so, too.
      else void there(workerId).catch(() => {});
    },
  });
  // Until it is there, it is not.
  away();

  const forgetOver = cache.getQueryCache().subscribe(({ query }) => {
    if (query.queryKey[0] !== "job" || submitted.size === 0) return;
    for (const id of submitted.keys()) {
      const known = cache.getQueryData(job(id).queryKey);
      if (known && isOver(known)) submitted.delete(id);
    }
  });

  return {
    pool,
    local,
    standing: () => standing,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    resize: (threads) => {
      localStorage.setItem(THREADS_STORED, String(threads));
      pool.resize(threads);
      line.resize(threads);
    },
    submit: async (order) => {
      const here = () => ({ id: local.submit(order).key, isLocal: true });
      if (standing.kind === "local") return here();
      try {
        const { id } = await submitJob(order);
        submitted.set(id, order);
        return { id, isLocal: false };
      } catch (error) {
        if (error instanceof Away) return here();
        throw error;
      }
    },
    close: () => {
      clearTimeout(awaySince);
      forgetOver();
      line.close();
      local.close();
      pool.close();
    },
  };
}

/** What a person calls the browser that the tab is in. */
function browserName(): string {
  const { userAgent } = navigator;
  const browsers = { Edge: "Edg/", Firefox: "Firefox/", Chrome: "Chrome/", Safari: "Safari/" };
  const systems = { Android: "Android", iPhone: "iPhone", Windows: "Windows", macOS: "Mac OS", Linux: "Linux" };
  const named = (names: Record<string, string>) =>
    Object.entries(names).find(([, word]) => userAgent.includes(word))?.[0];
  const which = [named(browsers) ?? "A browser", named(systems)].filter(Boolean).join(" on ");
  return `${which}, tab ${newId().slice(-4)}`;
}
