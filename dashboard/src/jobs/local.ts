/**
 * Local mode: jobs that are run by this tab because no server answers. They lie in IndexedDB until they are delivered,
 * and a tab that is closed leaves them to the next one.
 */

import { deliverJob, type JobOrder, job as jobQuery, isOver } from "../api/jobs.ts";
import { Away, Problem } from "../api/http.ts";
import { client } from "../api/queries.ts";
import { allHeld, hold, newId, oneAtATime } from "./locks.ts";
import type { Heard, Pool } from "./pool.ts";
import { type LocalJob, shelve, shelved, unshelve } from "./shelf.ts";

/** As many lines of the console as are kept of one. */
const LINES_MAX = 1_000;
/** So often at most what a running job says is laid down. */
const SHELVE_MS = 500;
/** A server that had no room for a delivery is asked again behind this. */
const AGAIN_MS = 10_000;
/** So often at most it is shown what they say. */
const SHOW_MS = 40;
const ADOPTING = "everfold-jobs-adopting";
const DELIVERING = "everfold-jobs-delivering";
const lockOf = (tab: string) => `everfold-jobs-tab-${tab}`;

export interface Local {
  submit: (order: JobOrder, id?: string) => LocalJob;
  cancel: (key: string) => void;
  /** Those of this browser that are not delivered, the newest first. */
  jobs: () => readonly LocalJob[];
  subscribe: (listener: () => void) => () => void;
  /** What the server calls a job that it was given. */
  deliveredAs: (key: string) => string | undefined;
  /** The server answers, and this is who the browser is to it. */
  deliver: (owner: string) => Promise<void>;
  /** It does not answer any more. */
  away: () => void;
  close: () => void;
}

interface Props {
  pool: Pool;
  /** Who the browser was when that was last known. */
  owner: () => string | null;
  onDelivered: () => void;
}

export function openLocal({ pool, owner, onDelivered }: Props): Local {
  const tab = newId();
  const known = new Map<string, LocalJob>();
  const listeners = new Set<() => void>();
  /** What those that were delivered are called now. */
  const ids = new Map<string, string>();
  const others = new BroadcastChannel("everfold-jobs");
  let shown: readonly LocalJob[] = [];
  let isClosed = false;

  let showing: ReturnType<typeof setTimeout> | undefined;
  const change = () => {
    clearTimeout(showing);
    showing = undefined;
    shown = [...known.values()].toSorted((one, other) => other.createdAt - one.createdAt);
    for (const listener of listeners) listener();
  };

  const put = (job: LocalJob) => {
    if (isClosed) return;
    known.set(job.key, job);
    change();
    const told = () => others.postMessage(null);
    shelve(job).then(told, (error) => console.error("a job could not be laid down", error));
  };

  const late = new Map<string, ReturnType<typeof setTimeout>>();
  /** Shown soon, laid down a little later. */
  const note = (job: LocalJob) => {
    known.set(job.key, job);
    showing ??= setTimeout(change, SHOW_MS);
    if (late.has(job.key)) return;
    late.set(
      job.key,
      setTimeout(() => {
        late.delete(job.key);
        const newest = known.get(job.key);
        if (newest) put(newest);
      }, SHELVE_MS),
    );
  };

  const read = async () => {
    const all = await shelved();
    if (isClosed) return;
    const there = new Map(all.map((job) => [job.key, job]));
    // What this tab runs it knows best.
    for (const [key, job] of known) if (job.tab !== tab || isEnded(job)) known.delete(key);
    for (const [key, job] of there) if (!known.has(key) && job.owner === owner()) known.set(key, job);
    change();
  };
  others.onmessage = ({ data }: MessageEvent<[string, string] | null>) => {
    if (data) ids.set(...data);
    void read();
  };

  /** The tasks of a job: one, or one for each input. */
  const tasksOf = ({ key, input = null, inputs }: LocalJob) =>
    inputs ? inputs.map((input, index) => ({ id: `${key}/${index}`, input, index })) : [{ id: key, input, index: 0 }];

  const finish = (job: LocalJob, end: Partial<LocalJob>) => {
    for (const { id } of tasksOf(job)) pool.cancel(id);
    put({ ...job, ...end, finishedAt: Date.now() });
    void send();
  };

  const hear = (key: string, index: number, heard: Heard) => {
    const job = known.get(key);
    if (!job || isEnded(job)) return;
    switch (heard.type) {
      case "begun":
        return note({ ...job, status: "leased", startedAt: job.startedAt ?? Date.now() });
      case "log":
        if (job.console.length >= LINES_MAX) return;
        return note({ ...job, console: [...job.console, { level: heard.level, text: heard.text }] });
      case "progress": {
        const { type: _, ...progress } = heard;
        return job.inputs ? undefined : note({ ...job, progress });
      }
      case "error":
        return finish(job, {
          status: heard.error.name === "TimeoutError" ? "timed_out" : "failed",
          error: heard.error,
        });
      case "result": {
        if (!job.inputs) return finish(job, { status: "done", result: heard.value });
        const { results } = job;
        // In place: of many inputs each would copy the results of all the others.
        results[index] = heard.value;
        const done = job.done + 1;
        if (done < job.inputs.length) return note({ ...job, done });
        return finish(job, { status: "done", done, result: job.inputs.map((_, index) => results[index] ?? null) });
      }
    }
  };

  const run = (job: LocalJob) => {
    put({ ...job, tab, status: "queued", attempts: job.attempts + 1 });
    for (const { id, input, index } of tasksOf(job)) {
      if (index in job.results) continue;
      const { code, timeoutMs, name } = job;
      pool.run({
        id,
        name: name ?? job.key,
        code,
        input,
        timeoutMs,
        hear: (heard) => hear(job.key, index, heard),
      });
    }
  };

  /** Who the server is told of, while it answers. */
  let caller: string | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;
  const send = async () => {
    if (caller === undefined) return;
    const to = caller;
    await oneAtATime(DELIVERING, async () => {
      let isOne = false;
      const leave = async (key: string, id: string) => {
        isOne = true;
        ids.set(key, id);
        await unshelve(key);
        known.delete(key);
        others.postMessage([key, id]);
      };
      for (const job of await shelved()) {
        if (!isEnded(job) || job.refusal !== undefined || (job.owner !== null && job.owner !== to)) continue;
        try {
          await leave(job.key, await delivered(job));
        } catch (error) {
          if (error instanceof Away) break;
          if (error instanceof Problem && (error.status === 429 || error.status >= 500)) {
            again ??= setTimeout(() => {
              again = undefined;
              void send();
            }, AGAIN_MS);
            break;
          }
          put({ ...job, refusal: error instanceof Error ? error.message : String(error) });
        }
      }
      if (!isOne) return;
      onDelivered();
      change();
    });
  };

  const begin = async () => {
    await oneAtATime(ADOPTING, async () => {
      const alive = await allHeld();
      await read();
      for (const job of [...known.values()]) if (!isEnded(job) && !alive.has(lockOf(job.tab))) run(job);
    });
  };
  // As long as the tab is there it holds this, and others know that its jobs are in hands.
  const release = hold(lockOf(tab));
  void begin();

  return {
    submit: ({ code, input, inputs, name, timeoutMs }, id) => {
      const job: LocalJob = {
        key: id ?? newId(),
        owner: owner(),
        tab,
        code,
        timeoutMs,
        status: "queued",
        attempts: 0,
        results: {},
        done: 0,
        console: [],
        createdAt: Date.now(),
        isMoved: id !== undefined,
        ...(name !== undefined && { name }),
        ...(inputs ? { inputs } : { input: input ?? null }),
      };
      run(job);
      return known.get(job.key) ?? job;
    },
    cancel: (key) => {
      const job = known.get(key);
      if (!job) return;
      for (const { id } of tasksOf(job)) pool.cancel(id);
      known.delete(key);
      change();
      void unshelve(key).then(() => others.postMessage(null));
    },
    jobs: () => shown,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    deliveredAs: (key) => ids.get(key),
    deliver: async (to) => {
      caller = to;
      // What the server has as well, and nobody has begun here, is the server's.
      for (const job of [...known.values()]) {
        if (!job.isMoved || job.tab !== tab || job.status !== "queued") continue;
        for (const { id } of tasksOf(job)) pool.cancel(id);
        known.delete(job.key);
        await unshelve(job.key);
      }
      change();
      await send();
    },
    away: () => {
      caller = undefined;
    },
    close: () => {
      isClosed = true;
      release();
      others.close();
      clearTimeout(again);
      clearTimeout(showing);
      for (const timer of late.values()) clearTimeout(timer);
    },
  };
}

const isEnded = ({ status }: LocalJob) => isOver({ status });

/** Told once, however often it is sent: the key sees to that. Its id on the server. */
async function delivered(job: LocalJob): Promise<string> {
  const { key, isMoved, name, code, input, inputs, result, error, console } = job;
  const { createdAt, startedAt = createdAt, finishedAt = startedAt } = job;
  if (isMoved && (await isOverThere(key))) return key;
  const answer = await deliverJob({
    key,
    code,
    input: inputs ?? input ?? null,
    console,
    startedAt,
    finishedAt,
    ...(name !== undefined && { name }),
    ...(error ? { error } : { result: result ?? null }),
  });
  return answer.id;
}

async function isOverThere(id: string): Promise<boolean> {
  try {
    return isOver(await client.fetchQuery({ ...jobQuery(id), staleTime: 0, retry: false }));
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return false;
    throw error;
  }
}
