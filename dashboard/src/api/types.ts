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
  /** The servers that share a database; none where a directory keeps everything. */
  nodes: {
    id: string;
    address: string;
    version: string;
    since: number;
    leaseMs: number;
    shards: number;
    isHead: boolean;
  }[];
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

/** What a person says of one; what is left away stays as it is. */
export interface NewSchedule {
  slug: string;
  /** Empty: it is called as its action is. */
  name: string | null;
  cron: string;
  timezone: string;
  params: { [name: string]: Json } | null;
  paused: boolean;
  notifyOnSuccess: boolean;
}

/** An action that is begun by itself, time after time. */
export interface Schedule extends NewSchedule {
  id: string;
  hookId: string | null;
  nextAt: number | null;
  /** What was begun last, or why nothing was. */
  lastRun: { id: string | null; at: number; status: RunStatus | null; error: string | null } | null;
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
  /** What the code of a hook's page logged last. */
  logs: LogLine[];
  /** The program that shows it is gone. */
  isOver: boolean;
}

export type JobStatus = "queued" | "leased" | "done" | "failed" | "timed_out" | "cancelled";

/** Where a job may run. */
export type Where = "any" | "tab" | "server";

export interface JobProgress {
  done: number;
  total: number;
  note?: string | null;
}

/** A job as a list shows it. */
export interface JobBrief {
  id: string;
  name?: string | null;
  status: JobStatus;
  where: Where;
  result?: Json;
  error?: { name: string; message: string; stack?: string | null } | null;
  progress?: JobProgress | null;
  /** The name of the worker that has it, or had it last. */
  worker?: string | null;
  /** So often it was given to a worker. */
  attempts: number;
  /** Of a script over many inputs: how many, and how many of them are done. */
  count?: number | null;
  done?: number | null;
  createdAt: number;
  startedAt?: number | null;
  finishedAt?: number | null;
}

/** A job, whole. */
export interface Job extends JobBrief {
  console: { level: ConsoleLine["level"]; text: string }[];
}

/** A frame of `/job-events`. */
export type JobEvent =
  /** Without its result where that is long, and where it is that of many inputs. */
  | { type: "job"; job: Job }
  /** More changed than was told. */
  | { type: "behind" };

/** Whatever runs jobs. */
export interface JobWorker {
  id: string;
  name: string;
  threads: number;
  /** So many jobs it has now. */
  running: number;
  userAgent?: string | null;
  kind: "tab" | "headless" | "server";
  connectedAt: number;
}

export interface Limits {
  timeoutMs: number;
  cpuSeconds: number;
  memoryMb: number;
  processes: number;
  tmpMb: number;
  requestBytes: number;
  responseBytes: number;
  /** Requests that one instance is given at a time. */
  concurrency: number;
  minInstances: number;
  maxInstances: number;
  queueWaitMs: number;
}

/** A function: a folder of code in some language, deployed to an address. */
export interface UserFunction {
  id: string;
  name: string;
  slug: string;
  /** Where it is called. */
  url: string;
  runtime: string;
  /** The runtime's own where nothing is said; `build` as well. */
  entrypoint: string | null;
  build: string | null;
  limits: Limits;
  /** A cron expression of five fields. */
  schedule: string | null;
  network: "none" | "internet";
  /** The id of the deployment that answers. */
  activeDeployment: string | null;
  /** So many run now. */
  instances: number;
  createdAt: number;
}

/** What a person says of one; what is left away stays as it is. */
export type FunctionChange = Partial<
  Pick<UserFunction, "name" | "slug" | "runtime" | "entrypoint" | "build" | "schedule" | "network">
> & { limits?: Partial<Limits> };

export type DeploymentStatus = "waiting" | "building" | "ready" | "failed" | "cancelled";

/** One state of a function's code, which never changes. */
export interface Deployment {
  id: string;
  status: DeploymentStatus;
  isActive: boolean;
  hash: string;
  /** Of what was sent. */
  bytes: number;
  /** Of the built tree, as `builtBytes`. */
  files: number | null;
  builtBytes: number | null;
  runtime: string;
  entrypoint: string | null;
  build: string | null;
  /** Why it could not be built. */
  error: string | null;
  createdAt: number;
  endedAt: number | null;
}

/** An environment variable; nobody is shown the value of a secret one. */
export interface Variable {
  key: string;
  value: string | null;
  secret: boolean;
}

export type ExecutionStatus = "waiting" | "processing" | "completed" | "failed";

/** A call of a function, as a list shows it. */
export interface ExecutionBrief {
  id: string;
  status: ExecutionStatus;
  trigger: "http" | "api" | "schedule";
  method: string;
  path: string;
  /** The id of the one that answered. */
  deployment: string | null;
  statusCode: number | null;
  /** Which failure it was, such as `function_timed_out`; `error` says it in a sentence. */
  code: string | null;
  error: string | null;
  durationMs: number | null;
  coldStart: boolean | null;
  attempts: number;
  createdAt: number;
}

/** A call, whole. */
export interface Execution extends ExecutionBrief {
  headers: Record<string, string>;
  body: string;
  bodyEncoding?: "base64";
  logs: string;
  errors: string;
  scheduledAt: number | null;
}

export interface Runtime {
  name: string;
  title: string;
  version: string | null;
  available: boolean;
  /** What to install. */
  reason: string | null;
  entrypoint: string;
  build: string | null;
}

/** What this machine can run, and what stands between that and the machine. */
export interface Machine {
  objects: Runtime[];
  sandbox: {
    available: boolean;
    reason: string | null;
    layers: { name: string; present: boolean; detail: string }[];
  };
}
