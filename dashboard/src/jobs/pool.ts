/**
 * This tab's threads: each runs one job at a time, in a worker of the frame of opaque origin (frame.ts).
 *
 * A thread keeps its worker for the next job of the same script: what a script does to its world meets nobody but itself.
 * Nothing a thread says is believed: it is heard of the one job that it was given, in these shapes and within these
 * bounds, and it is ended where it goes beyond them.
 */

import address from "virtual:threads";
import type { ConsoleLine, Json } from "../api/types.ts";
import { every } from "./clock.ts";
import type { Given, JobError, Manners, Notice, Order, Progress } from "./words.ts";

export const THREADS_MAX = 64;
/** With what stands around it a result is a frame of at most 1 MiB. */
const RESULT_BYTES_MAX = 1024 * 1024 - 4096;
/** So much a thread may say of one job, in all: lines, progress, and its end. */
const TOLD_MAX = 20_000;
const STACK_CHARACTERS_MAX = 8_192;
const NAME_CHARACTERS_MAX = 200;
/** Deadlines are looked at so often. */
const DEADLINE_MS = 100;
/** So often at most it is shown what threads are doing. */
const SHOW_MS = 40;
/** A frame that has not answered by then is loaded again: the server that has it was away. */
const READY_MS_MAX = 4_000;

const MANNERS: Manners = { linesMax: 1_000, lineCharactersMax: 8_192, progressMs: 50 };
const LEVELS: readonly string[] = ["trace", "debug", "info", "log", "warn", "error"] satisfies ConsoleLine["level"][];

/** What is heard of a job: that it begins, what it says, and in the end one of the last two. */
export type Heard =
  | { type: "begun" }
  | { type: "log"; level: ConsoleLine["level"]; text: string }
  | ({ type: "progress" } & Progress)
  | { type: "result"; value: Json }
  | { type: "error"; error: JobError };

export interface Task {
  id: string;
  name: string;
  code: string;
  input: Json;
  timeoutMs: number;
  hear: (heard: Heard) => void;
}

/** A thread, as it is shown. */
export interface ThreadShown {
  number: number;
  job?: { id: string; name: string; since: number; progress?: Progress };
  /** There are to be fewer, and it goes when its job is done. */
  isLeaving: boolean;
}

export interface Pool {
  run: (task: Task) => void;
  /** It is told nothing any more. */
  cancel: (id: string) => void;
  resize: (threads: number) => void;
  /** Those that were given and are not over, waiting ones too. */
  running: () => string[];
  threads: () => readonly ThreadShown[];
  /** How many wait for a thread. */
  waiting: () => number;
  subscribe: (listener: () => void) => () => void;
  close: () => void;
}

interface Thread {
  number: number;
  /** Of the worker that it has now, if it has one. */
  port?: MessagePort;
  code?: string;
  running?: { task: Task; token: number; since: number; until: number; told: number; progress?: Progress };
  isLeaving: boolean;
}

export function openPool(wanted: number): Pool {
  const threads: Thread[] = [];
  const queue: Task[] = [];
  const listeners = new Set<() => void>();
  let shown: readonly ThreadShown[] = [];
  let waiting = 0;
  let token = 0;
  let showing: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  let stopLooking: (() => void) | undefined;

  const show = () => {
    showing = undefined;
    shown = threads.map(({ number, running, isLeaving }) => ({
      number,
      isLeaving,
      ...(running && {
        job: {
          id: running.task.id,
          name: running.task.name,
          since: running.since,
          ...(running.progress && { progress: running.progress }),
        },
      }),
    }));
    waiting = queue.length;
    for (const listener of listeners) listener();
  };

  /** What changes faster is shown together. */
  const change = () => {
    showing ??= setTimeout(show, SHOW_MS);
  };

  const frame = openFrame({
    onReady: () => {
      // The workers of the frame before are gone, and their jobs begin again.
      for (const thread of threads) {
        const { running } = thread;
        forget(thread);
        thread.running = undefined;
        if (running) queue.unshift(running.task);
      }
      next();
    },
    onBroken: (number) => {
      const thread = threads.find((thread) => thread.number === number);
      if (thread) end(thread, failed("ThreadError", "Its thread broke down."));
    },
  });

  const forget = (thread: Thread) => {
    // What it said and nobody has heard yet goes with the port.
    thread.port?.close();
    thread.port = undefined;
    thread.code = undefined;
  };

  const stop = (thread: Thread) => {
    if (thread.port) frame.order({ type: "end", thread: thread.number });
    forget(thread);
  };

  /** A job is over, and its thread, if it cannot be trusted to be idle, too. */
  const end = (thread: Thread, heard: Heard | undefined, isStopped = true) => {
    const { running } = thread;
    thread.running = undefined;
    if (isStopped || thread.isLeaving) stop(thread);
    if (thread.isLeaving) threads.splice(threads.indexOf(thread), 1);
    if (running && heard) running.task.hear(heard);
    next();
  };

  const take = (thread: Thread, told: unknown) => {
    const { running } = thread;
    const read = running && heardOf(told, running.token);
    if (!running || !read) return;
    running.told += 1;
    if (running.told > TOLD_MAX) return end(thread, failed("RangeError", "It said more than a job may say."));
    if (read.type === "result" || read.type === "error") return end(thread, read, false);
    if (read.type === "progress") {
      const { type: _, ...progress } = read;
      running.progress = progress;
      change();
    }
    running.task.hear(read);
  };

  const begin = (thread: Thread, code: string) => {
    stop(thread);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => {
      if (thread.port === port1) take(thread, data);
    };
    thread.port = port1;
    thread.code = code;
    frame.order({ type: "begin", thread: thread.number, manners: MANNERS }, [port2]);
  };

  const give = (thread: Thread, task: Task) => {
    if (thread.code !== task.code || !thread.port) begin(thread, task.code);
    const now = performance.now();
    token += 1;
    thread.running = { task, token, since: Date.now(), until: now + task.timeoutMs, told: 0 };
    thread.port?.postMessage({ token, code: task.code, input: task.input } satisfies Given);
    task.hear({ type: "begun" });
  };

  /** Gives what waits to who is free. */
  const next = () => {
    if (isOver) return;
    while (frame.isReady() && queue.length > 0) {
      const free = threads.filter(({ running, isLeaving }) => !running && !isLeaving);
      const thread = free.find(({ code }) => code === queue[0]?.code) ?? free[0];
      const task = thread && queue.shift();
      if (!task) break;
      give(thread, task);
    }
    look();
    change();
  };

  /** As long as something runs, and no longer. */
  const look = () => {
    const isWanted = threads.some(({ running }) => running);
    if (!isWanted) {
      stopLooking?.();
      stopLooking = undefined;
    } else {
      stopLooking ??= every(DEADLINE_MS, () => {
        const now = performance.now();
        for (const thread of [...threads]) {
          const { running } = thread;
          if (!running || now < running.until) continue;
          frame.ask();
          end(thread, failed("TimeoutError", `It took longer than ${running.task.timeoutMs / 1000} s.`));
        }
      });
    }
  };

  const resize = (wanted: number) => {
    const count = Math.max(1, Math.min(THREADS_MAX, Math.round(wanted)));
    const staying = () => threads.filter(({ isLeaving }) => !isLeaving);
    // Who was about to leave stays first; then the lowest free numbers are taken.
    for (const thread of threads) if (thread.isLeaving && staying().length < count) thread.isLeaving = false;
    for (let number = 1; staying().length < count; number++) {
      if (threads.every((thread) => thread.number !== number)) threads.push({ number, isLeaving: false });
    }
    threads.sort((one, other) => one.number - other.number);
    const leaving = [
      ...staying()
        .filter(({ running }) => !running)
        .reverse(),
      ...staying().reverse(),
    ];
    for (const thread of new Set(leaving)) {
      if (staying().length <= count) break;
      thread.isLeaving = true;
      if (thread.running) continue;
      stop(thread);
      threads.splice(threads.indexOf(thread), 1);
    }
    next();
  };

  resize(wanted);
  clearTimeout(showing);
  show();
  return {
    run: (task) => {
      queue.push(task);
      next();
    },
    cancel: (id) => {
      const place = queue.findIndex((task) => task.id === id);
      if (place >= 0) queue.splice(place, 1);
      const thread = threads.find(({ running }) => running?.task.id === id);
      if (thread) end(thread, undefined);
      else change();
    },
    resize,
    running: () => [...threads.flatMap(({ running }) => running?.task.id ?? []), ...queue.map(({ id }) => id)],
    threads: () => shown,
    waiting: () => waiting,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => {
      isOver = true;
      stopLooking?.();
      clearTimeout(showing);
      threads.forEach(forget);
      frame.close();
    },
  };
}

interface Frame {
  isReady: () => boolean;
  order: (order: Order, ports?: MessagePort[]) => void;
  /** Where it does not answer, it is loaded again: a script that takes all memory takes the frame along. */
  ask: () => void;
  close: () => void;
}

/** The frame itself, loaded until it answers. */
function openFrame({ onReady, onBroken }: { onReady: () => void; onBroken: (thread: number) => void }): Frame {
  let port: MessagePort | undefined;
  let element: HTMLIFrameElement | undefined;
  let isReady = false;
  let loads = 0;
  const load = () => {
    element?.remove();
    port?.close();
    isReady = false;
    const made = document.createElement("iframe");
    // What is sandboxed here no service worker answers for. Where the server is away and the browser has not kept the
    // file itself, the policy that came with it says the same, and the frame begins nothing but of an opaque origin.
    if (loads % 2 === 0) made.setAttribute("sandbox", "allow-scripts");
    loads += 1;
    made.title = "Threads";
    made.hidden = true;
    made.onload = () => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data }: MessageEvent<Notice>) => {
        if (data?.type === "broken" && typeof data.thread === "number") onBroken(data.thread);
        if (data?.type !== "ready") return;
        stopWaiting();
        if (isReady) return;
        isReady = true;
        onReady();
      };
      port = port1;
      // Of an opaque origin, which has no name.
      made.contentWindow?.postMessage(null, "*", [port2]);
    };
    made.src = address;
    document.body.append(made);
    element = made;
  };
  load();
  let stopWaiting = every(READY_MS_MAX, load);
  return {
    isReady: () => isReady,
    order: (order, ports = []) => port?.postMessage(order, ports),
    ask: () => {
      stopWaiting();
      stopWaiting = every(READY_MS_MAX, load);
      port?.postMessage({ type: "ask" } satisfies Order);
    },
    close: () => {
      stopWaiting();
      port?.close();
      element?.remove();
    },
  };
}

const failed = (name: string, message: string): Heard => ({ type: "error", error: { name, message } });

/** What a thread said of the job with this token, if it said anything of it. */
function heardOf(told: unknown, token: number): Heard | undefined {
  if (!isRecord(told) || told.token !== token) return undefined;
  switch (told.type) {
    case "log": {
      const { level, text } = told;
      if (typeof level !== "string" || !LEVELS.includes(level)) return undefined;
      return {
        type: "log",
        level: level as ConsoleLine["level"],
        text: String(text).slice(0, MANNERS.lineCharactersMax),
      };
    }
    case "progress": {
      const { done, total, note } = told;
      if (!isCount(done) || !isCount(total)) return undefined;
      const words = note === undefined ? {} : { note: String(note).slice(0, NAME_CHARACTERS_MAX) };
      return { type: "progress", done, total, ...words };
    }
    case "result":
      return typeof told.text === "string" ? resultOf(told.text) : undefined;
    case "error":
      return isRecord(told.error) ? { type: "error", error: errorOf(told.error) } : undefined;
    default:
      return undefined;
  }
}

function resultOf(text: string): Heard {
  // A character is at least a byte, and at most three.
  const isLarge = text.length * 3 > RESULT_BYTES_MAX;
  if (isLarge && (text.length > RESULT_BYTES_MAX || new TextEncoder().encode(text).length > RESULT_BYTES_MAX)) {
    return failed("RangeError", "Its result is larger than 1 MiB.");
  }
  try {
    return { type: "result", value: JSON.parse(text) };
  } catch {
    return failed("TypeError", "Its result is not JSON.");
  }
}

function errorOf({ name, message, stack }: Record<string, unknown>): JobError {
  return {
    name: String(name).slice(0, NAME_CHARACTERS_MAX),
    message: String(message).slice(0, MANNERS.lineCharactersMax),
    ...(stack !== undefined && { stack: String(stack).slice(0, STACK_CHARACTERS_MAX) }),
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
const isCount = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
