/** What the pages read and change. State of the server is kept here and nowhere else. */

import { infiniteQueryOptions, QueryClient, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { Away, call, callOnce, Problem, upload } from "./http.ts";
import { recover } from "./session.ts";
import type {
  AccountKey,
  Activity,
  ConsoleEntry,
  Health,
  Hook,
  Key,
  Page,
  PatchStep,
  Preview,
  Replay,
  RequestBrief,
  RequestWhole,
  Series,
  ServerSettings,
  Template,
  Verified,
  VersionListed,
} from "./types.ts";

/** A page of the requests table: so many rows are fetched at once. */
export const REQUESTS_PAGE = 100;
/** So often one looks at how the server is. */
const HEALTH_MS = 2_000;

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      refetchOnWindowFocus: false,
      // A refusal stays one; a server that is away comes back.
      retry: (count, error) => error instanceof Away || (error instanceof Problem && error.status >= 500 && count < 3),
      retryDelay: (count) => Math.min(250 * 2 ** count, 2_000),
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});

const hookPath = (id: string, rest = "") => `/api/hooks/${encodeURIComponent(id)}${rest}`;
const tokenOf = (token: string | null) => (token === null ? "" : `?token=${encodeURIComponent(token)}`);

export const me = queryOptions({
  queryKey: ["me"],
  queryFn: recover,
  // A link from a mail is followed in another tab.
  refetchOnWindowFocus: "always",
});

export const hooks = queryOptions({
  queryKey: ["hooks"],
  queryFn: () => call<Page<Hook>>("GET", "/api/hooks").then((page) => page.objects),
});

export const hook = (id: string) =>
  queryOptions({ queryKey: ["hook", id], queryFn: () => call<Hook>("GET", hookPath(id)) });

/** The requests `page * REQUESTS_PAGE + 1` and following, in the order of their arrival. */
export const requests = (id: string, page: number) =>
  queryOptions({
    queryKey: ["hook", id, "requests", page],
    queryFn: ({ signal }) =>
      call<Page<RequestBrief>>(
        "GET",
        hookPath(id, `/requests?token=${(page + 1) * REQUESTS_PAGE + 1}&limit=${REQUESTS_PAGE}`),
        undefined,
        signal,
      ).then(({ objects }) => objects.filter(({ seq }) => seq > page * REQUESTS_PAGE).reverse()),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const request = (id: string, seq: number) =>
  queryOptions({
    queryKey: ["hook", id, "request", seq],
    queryFn: ({ signal }) => call<RequestWhole>("GET", hookPath(id, `/requests/${seq}`), undefined, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const diff = (id: string, seq: number) =>
  queryOptions({
    queryKey: ["hook", id, "diff", seq],
    queryFn: () =>
      call<{ patch: PatchStep[] }>("GET", hookPath(id, `/requests/${seq}/diff`)).then(({ patch }) => patch),
    staleTime: Number.POSITIVE_INFINITY,
  });

/** The draft first, then from the newest to the oldest. */
export const versions = (id: string) =>
  infiniteQueryOptions({
    queryKey: ["hook", id, "versions"],
    queryFn: ({ pageParam, signal }) =>
      call<Page<VersionListed>>("GET", hookPath(id, `/versions${tokenOf(pageParam)}`), undefined, signal),
    initialPageParam: null as string | null,
    getNextPageParam: ({ nextToken }) => nextToken,
  });

export const replay = (id: string) =>
  queryOptions({ queryKey: ["hook", id, "replay"], queryFn: () => call<Replay>("GET", hookPath(id, "/replay")) });

export const consoleLines = (id: string) =>
  infiniteQueryOptions({
    queryKey: ["hook", id, "console"],
    queryFn: ({ pageParam, signal }) =>
      call<{ console: Page<ConsoleEntry> }>(
        "GET",
        hookPath(id, `/console${tokenOf(pageParam)}`),
        undefined,
        signal,
      ).then(({ console }) => console),
    initialPageParam: null as string | null,
    getNextPageParam: ({ nextToken }) => nextToken,
  });

export const templates = (id: string) =>
  queryOptions({
    queryKey: ["hook", id, "templates"],
    queryFn: () =>
      call<{ templates: Template[] }>("GET", hookPath(id, "/templates")).then(({ templates }) => templates),
  });

export const keys = (id: string) =>
  queryOptions({
    queryKey: ["hook", id, "keys"],
    queryFn: () => call<{ keys: Key[] }>("GET", hookPath(id, "/keys")).then(({ keys }) => keys),
  });

export const secrets = (id: string) =>
  queryOptions({
    queryKey: ["hook", id, "secrets"],
    queryFn: () =>
      call<{ secrets: Record<string, string> }>("GET", `/api/secrets/${encodeURIComponent(id)}`).then(
        ({ secrets }) => secrets,
      ),
  });

export const activity = (id: string) =>
  queryOptions({
    queryKey: ["hook", id, "activity"],
    queryFn: () => call<Activity>("GET", hookPath(id, "/activity")),
    refetchInterval: 30_000,
  });

export const series = (id: string, path: string) =>
  queryOptions({
    queryKey: ["hook", id, "series", path],
    queryFn: () =>
      call<Series>("GET", hookPath(id, `/series?path=${encodeURIComponent(path)}&points=300`)).then(
        ({ points }) => points,
      ),
  });

export const accountKeys = queryOptions({
  queryKey: ["account-keys"],
  queryFn: () => call<Page<AccountKey>>("GET", "/api/keys").then((page) => page.objects),
});

/** For the owner of the server; everybody else is refused. */
export const serverSettings = queryOptions({
  queryKey: ["server-settings"],
  queryFn: () => call<ServerSettings>("GET", "/api/settings"),
});

export const health = queryOptions({
  queryKey: ["health"],
  queryFn: ({ signal }) => call<Health>("GET", "/api/health", undefined, signal),
  staleTime: 0,
  // Who was refused is not asked again and again.
  refetchInterval: ({ state }) => (state.error instanceof Problem ? false : HEALTH_MS),
});

/** Whether mail stays here, to be read at `/dev/mail`: so it is on a developer's machine, and nowhere else. */
export const isMailKept = queryOptions({
  queryKey: ["is-mail-kept"],
  queryFn: () =>
    call<unknown[]>("GET", "/api/dev/mail").then(
      () => true,
      (error: Error) => {
        if (error instanceof Problem) return false;
        throw error;
      },
    ),
  staleTime: Number.POSITIVE_INFINITY,
});

/** A change, and what is read anew behind it. */
export function useChange<Input, Output>(
  change: (input: Input) => Promise<Output>,
  stale: readonly (readonly unknown[])[] = [],
) {
  const cache = useQueryClient();
  return useMutation<Output, Error, Input>({
    mutationFn: change,
    onSuccess: () => Promise.all(stale.map((queryKey) => cache.invalidateQueries({ queryKey }))),
  });
}

export const createHook = (body: { name?: string; code?: string }) => call<Hook>("POST", "/api/hooks", body);

export const changeHook = (
  id: string,
  body: Partial<Pick<Hook, "name" | "description" | "workflowState">> & { code?: string },
) => call<Hook>("PUT", hookPath(id), body);

export const publish = (id: string) => call<{ version: number; total: number }>("POST", hookPath(id, "/publish"));

export const preview = (id: string, code: string) => call<Preview>("POST", hookPath(id, "/preview"), { code });

export const cancelReplay = (id: string) => call<Replay>("POST", hookPath(id, "/replay/cancel"));

export const restore = (id: string, version: number) =>
  call<{ version: number; total: number }>("POST", hookPath(id, `/versions/${version}/restore`));

export const resend = (id: string, seq: number) =>
  call<{ id: string; seq: number }>("POST", hookPath(id, `/requests/${seq}/resend`));

export const makeKey = (id: string, type: Key["type"]) =>
  call<{ key: string }>("POST", hookPath(id, "/keys"), { type });

export const pauseKey = (id: string, key: string, paused: boolean) =>
  call<void>("POST", hookPath(id, `/keys/${encodeURIComponent(key)}/${paused ? "pause" : "play"}`));

export const revokeKey = (id: string, key: string) =>
  call<void>("DELETE", hookPath(id, `/keys/${encodeURIComponent(key)}`));

export const setSecret = (id: string, key: string, value: string) =>
  call<void>("POST", `/api/secrets/${encodeURIComponent(id)}`, { key, value });

export const removeSecret = (id: string, key: string) =>
  call<void>("DELETE", `/api/secrets/${encodeURIComponent(id)}?key=${encodeURIComponent(key)}`);

export const resetRequests = (id: string) => call<void>("POST", hookPath(id, "/reset-requests"));

export const deleteHook = (id: string) => call<void>("DELETE", hookPath(id));

export const exportPath = (id: string) => hookPath(id, "/export");

export const verify = (id: string) => call<Verified>("GET", hookPath(id, "/verify"));

export const importHook = (file: File, onSent: (share: number) => void, signal: AbortSignal) =>
  upload<Hook>("/api/hooks/import", file, onSent, signal);

export const askForLink = (email: string) => callOnce<void>("POST", "/api/auth/signin", { email });

export const signOut = () => call<void>("POST", "/api/auth/signout");

export const makeAccountKey = (body: { type: AccountKey["type"]; name: string }) =>
  call<{ id: string; key: string }>("POST", "/api/keys", body);

export const revokeAccountKey = (id: string) => call<void>("DELETE", `/api/keys/${encodeURIComponent(id)}`);

export const changeServerSettings = (change: Partial<ServerSettings>) =>
  call<ServerSettings>("PUT", "/api/settings", change);
