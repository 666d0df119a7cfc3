/** What pages read of runs and do with them; and the line that tells what becomes of one. */

import { type QueryClient, queryOptions, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { call } from "./http.ts";
import { listen } from "./line.ts";
import { client } from "./queries.ts";
import type { Component, Json, Run, RunEvent, UploadPlace } from "./types.ts";

/** A component that looks no different so long after it was asked looks right already. */
const SAME_MS_MAX = 1_500;
/** So long one waits for a component that fetches what it shows. */
const LOOK_MS_MAX = 20_000;

const runPath = (id: string, rest = "") => `/api/runs/${encodeURIComponent(id)}${rest}`;

/** Read once; from then on it is told. */
export const run = (id: string) =>
  queryOptions({
    queryKey: ["run", id],
    queryFn: ({ signal }) => call<Run>("GET", runPath(id), undefined, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });

export interface Started {
  id: string;
  url: string;
}

export const startRun = (slug: string, params: Record<string, string>) =>
  call<Started>("POST", `/api/actions/${encodeURIComponent(slug)}/runs`, { params });

export interface Answer {
  key: string;
  /** One for each component. */
  values: unknown;
  valuesMeta?: unknown;
  choice?: string;
}

export const answerRun = (id: string, answer: Answer) => call<unknown>("POST", runPath(id, "/answers"), answer);
export const cancelRun = (id: string) => call<unknown>("POST", runPath(id, "/cancel"));
export const resumeRun = (id: string) => call<unknown>("POST", runPath(id, "/resume"));
export const abandonRun = (id: string) => call<unknown>("POST", runPath(id, "/abandon"));
export const restartRun = (id: string) => call<Started>("POST", runPath(id, "/restart"));

export const placeForUpload = (file: { name: string; type: string; size: number }) =>
  call<UploadPlace>("POST", "/api/uploads", file);

/** Tells a component what a person looks for in it, and waits for what it looks like then. */
export async function askComponent(id: string, key: string, index: number, state: Json): Promise<Component> {
  const read = () => componentOf(client.getQueryData(run(id).queryKey), key, index);
  const before = read();
  if (!before) throw new Error("This is no longer shown.");
  const values = Array.from({ length: before.count }, (_, place) => (place === index ? state : null));
  const look = waiting(() => read()?.component.props !== before.component.props);
  try {
    await call("POST", runPath(id, "/state"), { key, values });
    await Promise.race([look.isOther, after(fetches(before.component) ? LOOK_MS_MAX : SAME_MS_MAX)]);
  } finally {
    look.stop();
  }
  return read()?.component ?? before.component;
}

/** It looks for what it shows when it is asked, which may take its time. */
function fetches({ methodName, props }: Component): boolean {
  if (methodName === "SEARCH" || methodName === "UPLOAD_FILE") return true;
  return typeof props === "object" && props !== null && !Array.isArray(props) && props.isAsync === true;
}

function componentOf(run: Run | undefined, key: string, index: number) {
  const shown = run?.question?.key === key ? run.question : run?.answers.find((answered) => answered.key === key);
  const component = shown?.toRender[index];
  return component && shown && { component, count: shown.toRender.length };
}

/** Resolves when something in the cache made it so. */
function waiting(isSo: () => boolean) {
  let stop = () => {};
  const isOther = new Promise<void>((resolve) => {
    stop = client.getQueryCache().subscribe(() => {
      if (isSo()) resolve();
    });
  });
  return { isOther, stop };
}

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Follows a run: what the server tells goes into the cache. */
export function useRunLive(id: string) {
  const cache = useQueryClient();
  useEffect(
    () =>
      listen({
        path: `/run-events?runId=${encodeURIComponent(id)}`,
        onFrame: (text) => take(id, cache, JSON.parse(text) as RunEvent),
      }),
    [id, cache],
  );
}

function take(id: string, cache: QueryClient, event: RunEvent) {
  const { queryKey } = run(id);
  if (event.type === "runs") return;
  // What was asked for before would come after, and be older.
  void cache.cancelQueries({ queryKey });
  cache.setQueryData<Run>(queryKey, (known) => (event.type === "run" ? event.run : known && updated(known, event)));
}

function updated(known: Run, { run: told, rendered = [] }: RunEvent & { type: "update" }): Run {
  const { answersFrom, logsFrom, ...rest } = told;
  const looks = new Map(rendered.map(({ key, toRender }) => [key, toRender]));
  const looking = <Shown extends { key: string; toRender: Component[] }>(shown: Shown): Shown => {
    const toRender = looks.get(shown.key);
    return toRender ? { ...shown, toRender } : shown;
  };
  return {
    ...known,
    ...rest,
    question: rest.question && looking(rest.question),
    answers: joined(known.answers, rest.answers, answersFrom).map(looking),
    logs: joined(known.logs, rest.logs, logsFrom),
  };
}

/** The new ones take their places, also where they were told already. */
function joined<Item>(known: Item[], told: Item[] = [], from = known.length): Item[] {
  return [...known.slice(0, from), ...told, ...known.slice(from + told.length)];
}
