/** What pages read and change of functions: their code, what it is run with, and what it was asked. */

import {
  infiniteQueryOptions,
  type QueryClient,
  queryOptions,
  skipToken,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { useEffect } from "react";
import { call, Problem, upload } from "./http.ts";
import { recover } from "./session.ts";
import type {
  Deployment,
  Execution,
  ExecutionBrief,
  FunctionChange,
  Json,
  Machine,
  Page,
  UserFunction,
  Variable,
} from "./types.ts";

/** Nobody tells what happens to functions: one looks, while somebody looks on. */
const UNTOLD_MS = 2_000;
/** What is printed faster is shown together. */
const FRAME_MS = 120;
/** A log that cannot be read is asked for again after so long, and so often. */
const RETRY_MS = 1_000;
const RETRIES_MAX = 5;
/** Whoever has scrolled further down than this looks at the past, which stays as it is. */
const LIVE_PAGES_MAX = 3;

/** Who was refused is not asked again and again. */
const untold = ({ state }: { state: { error: Error | null } }) => (state.error instanceof Problem ? false : UNTOLD_MS);

const functionPath = (id: string, rest = "") => `/api/functions/${encodeURIComponent(id)}${rest}`;
const deploymentPath = (id: string, deployment: string, rest = "") =>
  functionPath(id, `/deployments/${encodeURIComponent(deployment)}${rest}`);

async function all<T>(path: string, signal: AbortSignal): Promise<T[]> {
  const found: T[] = [];
  let token: string | null = null;
  do {
    const search: string = token === null ? "" : `?token=${encodeURIComponent(token)}`;
    const page: Page<T> = await call<Page<T>>("GET", `${path}${search}`, undefined, signal);
    found.push(...page.objects);
    token = page.nextToken;
  } while (token !== null);
  return found;
}

/** The newest first. */
export const functions = queryOptions({
  queryKey: ["functions"],
  queryFn: async ({ signal }) =>
    (await all<UserFunction>("/api/functions", signal)).sort((one, other) => other.createdAt - one.createdAt),
});

/** As `functions`, for who looks at nothing else. */
export const functionsLive = queryOptions({ ...functions, refetchInterval: untold });

export const userFunction = (id: string) =>
  queryOptions({
    queryKey: ["function", id],
    queryFn: ({ signal }) => call<UserFunction>("GET", functionPath(id), undefined, signal),
    refetchInterval: untold,
  });

export const machine = queryOptions({
  queryKey: ["runtimes"],
  queryFn: ({ signal }) => call<Machine>("GET", "/api/runtimes", undefined, signal),
  // What is installed meanwhile is seen by who comes back.
  refetchOnWindowFocus: "always",
});

/** The newest first. */
export const deployments = (id: string) =>
  queryOptions({
    queryKey: ["function", id, "deployments"],
    queryFn: ({ signal }) => all<Deployment>(functionPath(id, "/deployments"), signal),
    refetchInterval: untold,
  });

export const isBuilding = ({ status }: Deployment) => status === "waiting" || status === "building";

export const variables = (id: string) =>
  queryOptions({
    queryKey: ["function", id, "variables"],
    queryFn: ({ signal }) => all<Variable>(functionPath(id, "/variables"), signal),
  });

/** The newest first. */
export const executions = (id: string) =>
  infiniteQueryOptions({
    queryKey: ["function", id, "executions"],
    queryFn: ({ pageParam, signal }) => {
      const search = pageParam === null ? "" : `?token=${encodeURIComponent(pageParam)}`;
      return call<Page<ExecutionBrief>>("GET", functionPath(id, `/executions${search}`), undefined, signal);
    },
    initialPageParam: null as string | null,
    getNextPageParam: ({ nextToken }) => nextToken,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > LIVE_PAGES_MAX ? false : untold({ state })),
  });

export const lastExecution = (id: string) =>
  queryOptions({
    queryKey: ["function", id, "executions", "last"],
    queryFn: ({ signal }) =>
      call<Page<ExecutionBrief>>("GET", functionPath(id, "/executions"), undefined, signal).then(
        ({ objects }) => objects[0] ?? null,
      ),
  });

export const isOver = ({ status }: ExecutionBrief) => status === "completed" || status === "failed";

export const execution = (id: string, execution: string) =>
  queryOptions({
    queryKey: ["function", id, "execution", execution],
    queryFn: ({ signal }) =>
      call<Execution>("GET", functionPath(id, `/executions/${encodeURIComponent(execution)}`), undefined, signal),
    refetchInterval: ({ state }) => (state.data && isOver(state.data) ? false : untold({ state })),
  });

export interface NewFunction {
  name: string;
  runtime: string;
  slug?: string;
}

export const makeFunction = (body: NewFunction) => call<UserFunction>("POST", "/api/functions", body);

export const changeFunction = (id: string, change: FunctionChange) =>
  call<UserFunction>("PUT", functionPath(id), change);

export const deleteFunction = (id: string) => call<unknown>("DELETE", functionPath(id));

export function deploy(
  id: string,
  code: File,
  isToActivate: boolean,
  onSent: (share: number) => void,
  signal: AbortSignal,
): Promise<Deployment> {
  const form = new FormData();
  form.set("activate", String(isToActivate));
  form.set("code", code);
  return upload<Deployment>(functionPath(id, "/deployments"), form, onSent, signal);
}

export const activate = (id: string, deployment: string) =>
  call<Deployment>("POST", deploymentPath(id, deployment, "/activate"));

export const cancelBuild = (id: string, deployment: string) =>
  call<Deployment>("POST", deploymentPath(id, deployment, "/cancel"));

export const deleteDeployment = (id: string, deployment: string) =>
  call<unknown>("DELETE", deploymentPath(id, deployment));

export const downloadPath = (id: string, deployment: string) => deploymentPath(id, deployment, "/download");

export const setVariable = (id: string, variable: { key: string; value: string; secret: boolean }) =>
  call<unknown>("POST", functionPath(id, "/variables"), variable);

export const deleteVariable = (id: string, key: string) =>
  call<unknown>("DELETE", functionPath(id, `/variables/${encodeURIComponent(key)}`));

export interface FunctionRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string;
}

/** Answers when the function has. */
export const execute = (id: string, request: FunctionRequest) =>
  call<Execution>("POST", functionPath(id, "/executions"), request);

/** Answers when it is kept; without a time it is called as soon as there is room. */
export const executeLater = (id: string, request: FunctionRequest & { scheduledAt?: number }) =>
  call<ExecutionBrief>("POST", functionPath(id, "/executions"), { ...request, async: true } satisfies Json);

export interface BuildLog {
  /** As it was printed, colours and all. */
  text: string;
  isOver: boolean;
}

/** Never read, only told. */
const buildLog = (id: string, deployment: string) =>
  queryOptions<BuildLog>({
    queryKey: ["function", id, "log", deployment],
    queryFn: skipToken,
    staleTime: Number.POSITIVE_INFINITY,
  });

/** What a build prints, as it does. */
export function useBuildLog(id: string, deployment: string): BuildLog | undefined {
  const cache = useQueryClient();
  useEffect(() => followBuild(id, deployment, cache), [id, deployment, cache]);
  return useQuery(buildLog(id, deployment)).data;
}

function followBuild(id: string, deployment: string, cache: QueryClient): () => void {
  const { queryKey } = buildLog(id, deployment);
  if (cache.getQueryData(queryKey)?.isOver) return () => {};
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let frame: ReturnType<typeof setTimeout> | undefined;
  let retries = 0;
  let text = "";
  const show = (isOver: boolean) => {
    clearTimeout(frame);
    frame = undefined;
    cache.setQueryData<BuildLog>(queryKey, { text, isOver });
  };
  const listen = () => {
    const made = new EventSource(deploymentPath(id, deployment, "/logs"));
    source = made;
    // Whoever comes back is told from the beginning.
    made.onopen = () => {
      text = "";
    };
    made.onmessage = ({ data }) => {
      text += (JSON.parse(data) as { text: string }).text;
      frame ??= setTimeout(() => show(false), FRAME_MS);
    };
    made.addEventListener("end", () => {
      made.close();
      show(true);
      for (const stale of [["functions"], userFunction(id).queryKey]) {
        void cache.invalidateQueries({ queryKey: stale });
      }
    });
    made.onerror = () => {
      // A line that broke is mended by the browser; one that was refused is not.
      if (made.readyState !== EventSource.CLOSED || retries >= RETRIES_MAX) return;
      retries += 1;
      timer = setTimeout(() => void recover().then(listen, () => made.onerror?.(new Event("error"))), RETRY_MS);
    };
  };
  listen();
  return () => {
    clearTimeout(timer);
    clearTimeout(frame);
    retries = RETRIES_MAX;
    if (!source) return;
    source.onerror = null;
    source.close();
  };
}
