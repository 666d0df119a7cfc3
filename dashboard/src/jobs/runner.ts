/**
 * A thread, from the inside: runs jobs of one script, one after the other, and tells what they say.
 *
 * It is a Web Worker of an opaque origin, and what it may reach is said by its frame's policy, not here. Built by itself
 * (vite.config.ts), so it imports nothing but types.
 */

import type { Given, JobError, Manners, Progress, Told } from "./words.ts";

type Telling = Told extends infer One ? (One extends Told ? Omit<One, "token"> : never) : never;
type Script = (input: unknown, console: object, progress: (...values: unknown[]) => void) => Promise<unknown>;

/** The lines that stand before the first one of a script: two that the constructor writes, and one of ours. */
const LINES_BEFORE = 3;
const NAME = "job.js";
/** That which ends a statement, and nothing but comments behind it. */
const LAST_SEMICOLON = /;((?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*)$/;
const LEVELS = ["trace", "debug", "info", "log", "warn", "error"] as const;

const AsyncFunction = (async () => {}).constructor as new (...parts: string[]) => Script;

self.onmessage = ({ data, ports: [port] }: MessageEvent<Manners>) => {
  self.onmessage = null;
  // Scripts speak through what they are given, and a thread ends when the page says so.
  for (const name of ["postMessage", "close"]) Object.defineProperty(self, name, { value: undefined });
  if (port && origin === "null") serve(port, data);
};

function serve(port: MessagePort, manners: Manners) {
  const names = new Set(Reflect.ownKeys(self));
  // Bound before any script could put something else there.
  const post = port.postMessage.bind(port) as (told: Told) => void;
  let fail: (error: unknown) => void = () => {};
  // What nobody caught, in a timer or in a promise, is the script's error like any other.
  self.onerror = (_message, _source, _line, _column, error) => {
    fail(error);
    return true;
  };
  self.onunhandledrejection = (event) => {
    event.preventDefault();
    fail(event.reason);
  };
  port.onmessage = ({ data: { token, code, input } }: MessageEvent<Given>) => {
    let isOver = false;
    const tell = (told: Telling) => {
      if (!isOver) post({ token, ...told } as Told);
    };
    const end = (told: Telling) => {
      if (isOver) return;
      stopTimers();
      for (const name of Reflect.ownKeys(self)) if (!names.has(name)) Reflect.deleteProperty(self, name);
      tell(told);
      isOver = true;
    };
    fail = (error) => end({ type: "error", error: errorOf(error) });
    run(code, input, consoleOf(tell, manners), progressOf(tell, manners)).then(
      (text) => end({ type: "result", text }),
      (error) => fail(error),
    );
  };
}

/** JSON of what it comes to. */
async function run(code: string, input: unknown, console: object, progress: () => void): Promise<string> {
  const value = await scriptOf(code)(input, console, progress);
  const result = typeof value === "function" ? await value(input) : value;
  return JSON.stringify(result) ?? "null";
}

/** An expression, of which a function is one too; else the body of a function, which may define `main`. */
function scriptOf(code: string): Script {
  const made = (before: string, after: string, code: string) =>
    new AsyncFunction(
      "input",
      "console",
      "progress",
      `"use strict"; ${before}\n${code}\n${after}\n//# sourceURL=${NAME}`,
    );
  for (const expression of [code, code.replace(LAST_SEMICOLON, " $1")]) {
    try {
      return made("return (", ")", expression);
    } catch {}
  }
  return made("{", ';if (typeof main === "function") return await main(input); }', code);
}

function consoleOf(tell: (told: Telling) => void, { linesMax, lineCharactersMax }: Manners): object {
  let lines = 0;
  const write =
    (level: (typeof LEVELS)[number]) =>
    (...values: unknown[]) => {
      lines += 1;
      if (lines > linesMax) return;
      const text = lines === linesMax ? "It wrote more lines, which are not kept." : values.map(wordsOf).join(" ");
      tell({ type: "log", level: lines === linesMax ? "warn" : level, text: text.slice(0, lineCharactersMax) });
    };
  return Object.fromEntries(LEVELS.map((level) => [level, write(level)]));
}

/** The newest is told, and no more often than anybody looks. */
function progressOf(tell: (told: Telling) => void, { progressMs }: Manners) {
  let toldAt = Number.NEGATIVE_INFINITY;
  return (done?: unknown, total?: unknown, note?: unknown) => {
    const now = performance.now();
    const progress: Progress = { done: Number(done), total: Number(total) };
    if (now - toldAt < progressMs && progress.done < progress.total) return;
    toldAt = now;
    if (note !== undefined) progress.note = String(note);
    tell({ type: "progress", ...progress });
  };
}

function wordsOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return stackOf(value) ?? `${value.name}: ${value.message}`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

function errorOf(error: unknown): JobError {
  if (!(error instanceof Error)) return { name: "Error", message: wordsOf(error) };
  const stack = stackOf(error);
  return { name: error.name, message: error.message, ...(stack !== undefined && { stack }) };
}

/** The script's own lines, by their own numbers. */
function stackOf(error: Error): string | undefined {
  return error.stack
    ?.split("\n")
    .filter((line) => !line.includes("blob:"))
    .join("\n")
    .replaceAll(new RegExp(`${NAME}:(\\d+)`, "g"), (_, line: string) => `${NAME}:${Number(line) - LINES_BEFORE}`);
}

/** What a script left ticking ends with it. Numbers are given in order, to both kinds. */
function stopTimers() {
  for (let id = self.setTimeout(() => {}); id > 0; id--) self.clearTimeout(id);
}
