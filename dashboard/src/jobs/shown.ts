/** A job as it is shown, wherever it runs. */

import { useQuery } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { job } from "../api/jobs.ts";
import type { Job } from "../api/types.ts";
import type { LocalJob } from "./shelf.ts";
import type { Tab } from "./tab.ts";

export interface ShownJob extends Job {
  /** It is here, and the server does not know of it yet. */
  isLocal?: boolean;
  /** Why the server did not take it. */
  refusal?: string;
}

export function useLocalJobs({ local }: Tab): readonly LocalJob[] {
  return useSyncExternalStore(local.subscribe, local.jobs);
}

/** The job of this id, which is another as soon as it is delivered. */
export function useShownJob(tab: Tab, id: string): { job: ShownJob | undefined; error: Error | null } {
  const here = useLocalJobs(tab).find(({ key }) => key === id);
  const there = tab.local.deliveredAs(id) ?? id;
  const { data, error } = useQuery({ ...job(there), enabled: !here });
  return here ? { job: shownLocal(here), error: null } : { job: data, error };
}

export function shownLocal(local: LocalJob): ShownJob {
  const { key, name, status, result, error, progress, attempts, inputs, done, createdAt, console } = local;
  return {
    id: key,
    status,
    where: "tab",
    attempts,
    createdAt,
    console,
    isLocal: true,
    ...(name !== undefined && { name }),
    ...(result !== undefined && { result }),
    ...(error && { error }),
    ...(progress && { progress }),
    ...(inputs && { count: inputs.length, done }),
    ...(local.startedAt !== undefined && { startedAt: local.startedAt }),
    ...(local.finishedAt !== undefined && { finishedAt: local.finishedAt }),
    ...(local.refusal !== undefined && { refusal: local.refusal }),
  };
}
