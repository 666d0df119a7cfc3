/**
 * This tab as a worker: takes jobs from the server, gives them to the pool, and tells what is heard of them.
 *
 * Jobs go on while the line is down; what was heard then is told when it is up again. Whether it still counts is the
 * server's to say: the fence that came with a job tells which giving of it is meant.
 */

import { listenAsOneself } from "../api/line.ts";
import type { Json } from "../api/types.ts";
import { every } from "./clock.ts";
import { nameOf } from "./name.ts";
import type { Heard, Pool } from "./pool.ts";

/** So many frames wait for the line of each job; more of what it writes is not told. */
const HELD_MAX = 2_000;
/** So many results that were late. */
const KEPT_MAX = 64;
/** So many times within a lease the server hears of this tab. */
const BEATS = 4;

type FromServer =
  | { type: "welcome"; workerId: string; leaseMs: number }
  | { type: "job"; id: string; fence: number; code: string; input?: Json; timeoutMs: number; name?: string }
  | { type: "cancel"; id: string }
  | { type: "refused"; id?: string; fence?: number; code: string; message: string };

interface Given {
  fence: number;
  /** What could not be told yet. */
  held: object[];
}

export interface WorkerLine {
  resize: (threads: number) => void;
  /** Whether this job is here by order of the server, and its end is not told yet. */
  has: (id: string) => boolean;
  close: () => void;
}

interface Props {
  pool: Pool;
  name: string;
  threads: number;
  /** Its id while the server knows this tab. */
  onChange: (workerId: string | undefined) => void;
}

export function openWorkerLine({ pool, name, threads, onChange }: Props): WorkerLine {
  const given = new Map<string, Given>();
  let count = threads;
  let send: ((frame: string) => void) | undefined;
  let isWelcome = false;
  let stopBeating = () => {};

  const tell = (frame: object) => send?.(JSON.stringify(frame));
  const beat = () => tell({ type: "beat", running: [...given.keys()] });

  const hear = (id: string, heard: Heard) => {
    const job = given.get(id);
    if (!job || heard.type === "begun") return;
    if (!isWelcome && heard.type === "progress") return;
    if (job.held.length < HELD_MAX || heard.type !== "log") job.held.push({ ...heard, id });
    if (isWelcome) tellOf(id, job);
  };

  /** What came to its end while the line was down: the server may ask for it anew, and has it at once. */
  const kept = new Map<string, object>();
  const keep = (id: string, end: object) => {
    kept.set(id, end);
    for (const first of kept.keys()) if (kept.size > KEPT_MAX) kept.delete(first);
  };

  const tellOf = (id: string, job: Given, isLate = false) => {
    for (const frame of job.held) {
      // The fence of now: the server may have given it anew, to this very tab.
      tell({ ...frame, fence: job.fence });
      if ("value" in frame || "error" in frame) given.delete(id);
      if ("value" in frame && isLate) keep(id, frame);
    }
    job.held = [];
  };

  const take = (frame: FromServer) => {
    switch (frame.type) {
      case "welcome":
        isWelcome = true;
        onChange(frame.workerId);
        beat();
        for (const [id, job] of given) tellOf(id, job, true);
        stopBeating();
        stopBeating = every(frame.leaseMs / BEATS, beat);
        break;
      case "job": {
        const { id, fence, code, input = null, timeoutMs } = frame;
        const known = given.get(id);
        if (known) {
          known.fence = fence;
          break;
        }
        const end = kept.get(id);
        if (end) {
          tell({ ...end, fence });
          break;
        }
        given.set(id, { fence, held: [] });
        pool.run({
          id,
          name: frame.name ?? nameOf(code) ?? `Job ${id.slice(-8)}`,
          code,
          input,
          timeoutMs,
          hear: (heard) => hear(id, heard),
        });
        break;
      }
      case "cancel":
        forget(frame.id);
        break;
      case "refused":
        // Somebody else has it by now.
        if (frame.id !== undefined && given.get(frame.id)?.fence === frame.fence) forget(frame.id);
        break;
    }
  };

  const forget = (id: string) => {
    given.delete(id);
    pool.cancel(id);
  };

  const down = () => {
    kept.clear();
    stopBeating();
    isWelcome = false;
    send = undefined;
    onChange(undefined);
  };

  const hangUp = listenAsOneself({
    path: "/worker",
    onUp: (_, sending) => {
      send = sending;
      tell({ type: "hello", name, threads: count, userAgent: navigator.userAgent });
    },
    onDown: down,
    onFrame: (text) => take(JSON.parse(text) as FromServer),
  });

  return {
    resize: (threads) => {
      count = threads;
      if (isWelcome) tell({ type: "resize", threads });
    },
    has: (id) => given.has(id),
    close: () => {
      hangUp();
      stopBeating();
    },
  };
}
