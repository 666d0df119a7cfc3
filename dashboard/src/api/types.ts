/** What goes over the wire, in the words of openapi.json. */

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export interface Page<T> {
  objects: T[];
  nextToken: string | null;
}

export interface Me {
  id: string;
  email: string | null;
  workflowState: "guest" | "user";
  /** Of the server. */
  isOwner: boolean;
}

export interface Version {
  version: number;
  code: string;
  publishedAt?: number;
}

export interface Hook {
  id: string;
  name: string;
  description: string;
  workflowState: "live" | "paused";
  readKeys: string[];
  writeKeys: string[];
  requestCount: number;
  foldedCount: number;
  lastSeq: number;
  createdAt: number;
  draft: Version;
  published: Version | null;
}

export type Status = "folded" | "ignored" | "duplicate" | "failed" | "pending";

export interface CodeError {
  name: string;
  message: string;
  stack: string;
}

/** A request as a list shows it. */
export interface RequestBrief {
  id: string;
  seq: number;
  method: string;
  path: string;
  contentType: string | null;
  bodyBytes: number;
  excerpt: string;
  status: Status;
  error: { name: string; message: string } | null;
  createdAt: number;
}

export interface ConsoleLine {
  level: "trace" | "debug" | "info" | "log" | "warn" | "error";
  messages: string[];
}

/** A request, whole. */
export interface RequestWhole {
  id: string;
  seq: number;
  method: string;
  path: string;
  query: Record<string, string>;
  queryString: string;
  headers: Record<string, string>;
  body: Json;
  bodyBase64: string;
  state: Json;
  error: CodeError | null;
  status: Status;
  createdAt: number;
  hash: string;
  duplicateOf?: number;
  console: ConsoleLine[];
}

/** One step of a JSON Patch. */
export interface PatchStep {
  op: "add" | "remove" | "replace" | "move" | "copy" | "test";
  path: string;
  from?: string;
  value?: Json;
}

export interface VersionListed {
  version: number;
  workflowState: "draft" | "published" | "old";
  code: string;
  publishedAt: number | null;
}

export interface Replay {
  status: "running" | "done" | "cancelled" | "failed";
  done: number;
  total: number;
  perSecond: number;
  etaSeconds: number | null;
}

export interface Preview {
  total: number;
  changed: number;
  firstDifferentSeq: number | null;
  errors: { seq: number; error: CodeError }[];
  before: Json;
  after: Json;
  patch: PatchStep[];
}

export interface ConsoleEntry extends ConsoleLine {
  timestamp: number;
  requestId: string;
  seq: number;
}

export interface Key {
  key: string;
  type: "read" | "write";
  workflowState: "live" | "paused";
}

export interface AccountKey {
  id: string;
  type: "api" | "worker";
  name: string;
  createdAt: number;
  lastUsedAt: number | null;
}

export interface ServerSettings {
  closedToGuests: boolean;
  closedToNewUsers: boolean;
  resumeConnected: boolean;
}

/** The chain of a log, computed anew: through `seq` it is what it says it is, or `detail` says where it is not. */
export interface Verified {
  seq: number;
  hash: string;
  ok: boolean;
  detail?: string;
}

export interface Activity {
  lastRequestAt: number | null;
  requests: number;
  /** Of the newest 40 requests, so many failed. */
  recentErrors: number;
  buckets: { at: number; count: number }[];
}

export interface Series {
  points: { seq: number; at: number; value: number | null }[];
}

/** How the server is. */
export interface Health {
  version: string;
  startedAt: number;
  now: number;
  /** Hooks in memory. */
  awake: number;
  store: { kind: string; bytes: number; freeBytes: number | null };
  /** What stands between user code and the machine. */
  walls: { name: string; holds: boolean; detail: string }[];
  /** The processes that run user code. */
  children: { alive: number; started: number; startMs: number };
  writes: { accepted: number; refused: number; perSecond: number };
  latencies: { name: string; count: number; p50Ms: number; p99Ms: number }[];
  /** How often each refusal was given, by its code. */
  refusals: Record<string, number>;
  folds: { waiting: number; replays: Replay[] };
  memory: { residentBytes: number | null };
  limits: { name: string; held: number; max: number }[];
}

/** What a person fills in before a template is a request. */
export type Blank = { field: "input"; name: string } | { field: "select"; name: string; options: Json[] };

export interface Template {
  name: string;
  template: Json;
}

/** A frame of `/hook-events`. */
export type HookEvent =
  | {
      type: "new-request";
      hookId: string;
      request: {
        id: string;
        seq: number;
        state: Json;
        stateHash: string | null;
        bodyHash: string;
        createdAt: number;
        error: CodeError | null;
      };
    }
  | { type: "bulk-update"; hookId: string }
  | ({ type: "replay"; hookId: string } & Replay);

export interface Action {
  /** With the pages it lies on: `users/create`. */
  slug: string;
  name: string;
  description: string | null;
  source: "hosted" | "host";
  /** Whose code it is in. */
  hookId: string | null;
  online: boolean;
  unlisted: boolean;
  isPage: boolean;
}

export type RunStatus = "running" | "waiting" | "success" | "failure" | "cancelled" | "redirected" | "parked";

/** A run as a list shows it. */
export interface RunBrief {
  id: string;
  action: string;
  name: string;
  status: RunStatus;
  source: Action["source"];
  /** The label of what it waits for. */
  question: string | null;
  error: string | null;
  createdAt: number;
  finishedAt: number | null;
}

/** Somebody's program wants a person to begin this. */
export interface Queued {
  id: string;
  slug: string;
  name: string;
  assignee: string | null;
  params: Json;
  createdAt: number;
}

/** One thing that is asked or shown, in the words of @interval/sdk; `props` with `propsMeta` are superjson's. */
export interface Component {
  methodName: string;
  label: string;
  props?: Json;
  propsMeta?: Json;
  isStateful?: boolean;
  isOptional?: boolean;
  isMultiple?: boolean;
  multipleProps?: { defaultValue?: Json[] | null } | null;
  validationErrorMessage?: string | null;
}

export type ButtonTheme = "default" | "primary" | "secondary" | "danger";

export interface Choice {
  label: string;
  value: string;
  theme?: ButtonTheme;
}

export interface Question {
  key: string;
  toRender: Component[];
  choiceButtons?: Choice[] | null;
  continueButton?: { label?: string; theme?: ButtonTheme } | null;
  validationErrorMessage?: string | null;
}

/** A question that was answered, or something that was shown and asks nothing: then `values` is null. */
export interface Answered {
  key: string;
  toRender: Component[];
  values: Json[] | null;
  valuesMeta?: Json;
  choice?: string | null;
  at: number;
  isDisplay: boolean;
}

export interface LogLine {
  index: number;
  text: string;
  level?: string | null;
  at: number;
}

export interface Loading {
  label?: string | null;
  title?: string | null;
  description?: string | null;
  itemsInQueue?: number | null;
  itemsCompleted?: number | null;
}

/** Where a link of an action leads: another action or page, or an address. */
export interface Target {
  url?: string | null;
  href?: string | null;
  route?: string | null;
  action?: string | null;
  params?: Json;
  paramsMeta?: Json;
}

/** A run, whole. */
export interface Run {
  id: string;
  action: string;
  name: string;
  description: string | null;
  source: Action["source"];
  status: RunStatus;
  question: Question | null;
  answers: Answered[];
  logs: LogLine[];
  loading: Loading | null;
  result: Json;
  resultMeta?: Json;
  error: { name: string; message: string; stack?: string | null; cause?: string | null } | null;
  redirect: (Target & { replace?: boolean | null }) | null;
  parked: { reason: "codeChanged" | "hostGone"; message: string } | null;
  isOnline: boolean;
  params: Json;
  createdAt: number;
  finishedAt: number | null;
}

/** A frame of `/run-events`. */
export type RunEvent =
  | { type: "run"; run: Run }
  | {
      type: "update";
      /** `answers` and `logs` are the new ones alone, and begin at these places. */
      run: Run;
      answersFrom: number;
      logsFrom: number;
      /** What is shown already, and looks otherwise now. */
      rendered?: { key: string; toRender: Component[] }[];
    }
  | { type: "runs" };

export interface UploadPlace {
  uploadUrl: string;
  downloadUrl: string;
}

/** What a page of a connected program shows. */
export interface Layout {
  title?: string | null;
  description?: string | null;
  menuItems?: (Target & { label: string; theme?: ButtonTheme; disabled?: boolean })[] | null;
  children?: { toRender: Component[] } | null;
  errors?: { layoutKey?: string | null; error?: string; message: string }[] | null;
}

/** A frame of `/page-events`. */
export interface PageShown {
  type: "page";
  /** Of this look at it. */
  key: string;
  layout: Layout | null;
  redirect: Target | null;
  /** The program that shows it is gone. */
  isOver: boolean;
}
