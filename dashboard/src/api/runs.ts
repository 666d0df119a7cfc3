/** What a page reads of a run and does with it; and the line that tells what becomes of it. */

import { type QueryClient, queryOptions, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { call } from "./http.ts";
import { listen } from "./line.ts";
import { client } from "./queries.ts";
import type { Component, Json, Run, RunEvent, UploadPlace } from "./types.ts";

/** So long one waits for what a component looks like. */
const LOOK_MS_MAX = 20_000;
/** And so long until it is said again what was looked for. */
const REPEAT_MS = 5_000;
/** A program tells twice what a component looks like in a new state; the second time it may be late. */
export const TOLD_TIMES = 2;

/** So often one looks whether a program that was away is back. */
const HOST_MS = 3_000;

const runPath = (id: string, rest = "") => `/api/runs/${encodeURIComponent(id)}${rest}`;

export const isOver = ({ status }: Pick<Run, "status">) =>
  ["success", "failure", "cancelled", "redirected"].includes(status);

/** Read once; from then on it is told. */
export const run = (id: string) =>
  queryOptions({
    queryKey: ["run", id],
    queryFn: ({ signal }) => call<Run>("GET", runPath(id), undefined, signal),
    staleTime: Number.POSITIVE_INFINITY,
    // Nobody tells when the program behind it is back.
    refetchInterval: ({ state }) => (state.data?.isOnline === false && !isOver(state.data) ? HOST_MS : false),
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
  // Who sorts what is in that order already sees the same again: what was told counts, not what changed.
  const { source } = client.getQueryData(run(id).queryKey) ?? {};
  const told = toldTimes(id, key) + (source === "hosted" ? 1 : TOLD_TIMES);
  const look = waiting(() => read()?.component.props !== before.component.props || toldTimes(id, key) >= told);
  let repeat: ReturnType<typeof setInterval> | undefined;
  try {
    const say = () => call("POST", runPath(id, "/state"), { key, values });
    await say();
    // What it came to may have been told before anybody listened, and nobody keeps it.
    repeat = setInterval(() => void say().catch(() => {}), REPEAT_MS);
    await look.isThere;
  } finally {
    clearInterval(repeat);
    look.stop();
  }
  return read()?.component ?? before.component;
}

function componentOf(run: Run | undefined, key: string, index: number) {
  const shown = run?.question?.key === key ? run.question : run?.answers.find((answered) => answered.key === key);
  const component = shown?.toRender[index];
  return component && shown && { component, count: shown.toRender.length };
}

/** How often it was told what the components of a question look like. */
const looks = new Map<string, number>();
const toldTimes = (id: string, key: string) => looks.get(`${id}:${key}`) ?? 0;

/** Resolves when something in the cache made it so. */
export function waiting(isSo: () => boolean) {
  let stop = () => {};
  const isThere = new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("The program behind this does not answer.")), LOOK_MS_MAX);
    const deaf = client.getQueryCache().subscribe(() => {
      if (isSo()) resolve();
    });
    stop = () => {
      clearTimeout(late);
      deaf();
    };
  });
  // Where the question itself was refused, nobody waits.
  isThere.catch(() => {});
  return { isThere, stop };
}

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
  for (const { key } of event.type === "update" ? (event.rendered ?? []) : []) {
    looks.set(`${id}:${key}`, toldTimes(id, key) + 1);
  }
  cache.setQueryData<Run>(queryKey, (known) => (event.type === "run" ? event.run : known && updated(known, event)));
}

function updated(known: Run, event: RunEvent & { type: "update" }): Run {
  const { run: told, answersFrom, logsFrom, rendered = [] } = event;
  const looks = new Map(rendered.map(({ key, toRender }) => [key, toRender]));
  const looking = <Shown extends { key: string; toRender: Component[] }>(shown: Shown): Shown => {
    const toRender = looks.get(shown.key);
    return toRender ? { ...shown, toRender } : shown;
  };
  return {
    ...known,
    ...told,
    question: told.question && looking(told.question),
    answers: joined(known.answers, told.answers, answersFrom).map(looking),
    logs: joined(known.logs, told.logs, logsFrom),
  };
}

/** What was refused is asked again under a key of its own, which begins as the first one did. */
export const firstKey = (key: string) => key.split("~")[0] ?? key;

/** The new ones take their places, also where they were told already. */
function joined<Item>(known: Item[], told: Item[], from: number): Item[] {
  return [...known.slice(0, from), ...told, ...known.slice(from + told.length)];
}
