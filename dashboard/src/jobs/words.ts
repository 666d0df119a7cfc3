/** What the page and its threads say to each other. Types alone: a thread is built by itself, and believed by nobody. */

import type { ConsoleLine, Json } from "../api/types.ts";

/** A thread's own manners. The page counts again, for a thread may have none. */
export interface Manners {
  linesMax: number;
  lineCharactersMax: number;
  progressMs: number;
}

/** To a thread: run this. */
export interface Given {
  token: number;
  code: string;
  input: Json;
}

export interface JobError {
  name: string;
  message: string;
  stack?: string;
}

export interface Progress {
  done: number;
  total: number;
  note?: string;
}

/** Of the job with this token. */
export type Told = { token: number } & (
  | { type: "log"; level: ConsoleLine["level"]; text: string }
  | ({ type: "progress" } & Progress)
  /** JSON. */
  | { type: "result"; text: string }
  | { type: "error"; error: JobError }
);

/** To the frame: a thread of this number begins, and speaks through the port that comes along; or it ends. */
export type Order =
  | { type: "begin"; thread: number; manners: Manners }
  | { type: "end"; thread: number }
  /** Is it still there? */
  | { type: "ask" };

/** From the frame. */
export type Notice = { type: "ready" } | { type: "broken"; thread: number };
