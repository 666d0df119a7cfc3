/** What a job is called, how it stands, and how long it took: in a list, a sheet, and beside its script. */

import type { JobBrief, JobStatus } from "../../api/types.ts";
import type { IconName } from "../../components/icon.tsx";
import { Sign, type Tone } from "../../components/status.tsx";
import { milliseconds } from "../../components/units.ts";

const SHOWN: Record<JobStatus, { icon: IconName; tone: Tone; words: string; why: string }> = {
  queued: { icon: "clock", tone: "plain", words: "queued", why: "It waits for a worker with a free thread." },
  leased: { icon: "play", tone: "plain", words: "running", why: "A worker has it." },
  done: { icon: "check", tone: "ok", words: "done", why: "Its result is here." },
  failed: { icon: "cross", tone: "bad", words: "failed", why: "It threw an error." },
  timed_out: { icon: "clock", tone: "bad", words: "timed out", why: "It took longer than it may." },
  cancelled: { icon: "minus", tone: "plain", words: "cancelled", why: "A person ended it." },
};

export function JobState({ status }: { status: JobStatus }) {
  const { words, ...shown } = SHOWN[status];
  return <Sign {...shown}>{words}</Sign>;
}

const ID_CHARACTERS = 8;

export const titleOf = ({ name, id }: Pick<JobBrief, "name" | "id">) => name || `Job ${id.slice(-ID_CHARACTERS)}`;

export function tookOf({ startedAt, finishedAt }: JobBrief): string {
  return startedAt && finishedAt ? milliseconds(Math.max(0, finishedAt - startedAt)) : "–";
}
