/** Runs in a table: what each does, how it stands, and the way to it. */

import type { ReactNode } from "react";
import { Link, useLocation } from "wouter";
import type { RunBrief, RunStatus } from "../api/types.ts";
import type { IconName } from "./icon.tsx";
import style from "./run_list.module.css";
import { Sign, type Tone } from "./status.tsx";
import { type Column, Table } from "./table.tsx";
import { Ago } from "./time.tsx";
import { duration, milliseconds } from "./units.ts";

/** Drawn while the runs are not there yet. */
const SKELETON_ROWS = 3;
/** Below this a run is counted in parts of a second. */
const SHORT_MS = 10_000;

const SHOWN: Record<RunStatus, { icon: IconName; tone: Tone; why: string }> = {
  running: { icon: "play", tone: "plain", why: "It is at work." },
  waiting: { icon: "clock", tone: "warn", why: "It waits for a person." },
  parked: { icon: "pause", tone: "warn", why: "It cannot go on by itself: its code changed, or its host is away." },
  success: { icon: "check", tone: "ok", why: "It ended well." },
  failure: { icon: "cross", tone: "bad", why: "It threw an error." },
  cancelled: { icon: "minus", tone: "plain", why: "A person ended it." },
  redirected: { icon: "right", tone: "plain", why: "It led somewhere else." },
};

export const RUN_STATUSES = Object.keys(SHOWN) as RunStatus[];

/** How a run stands: a drawing and a word. */
export function RunState({ status }: { status: RunStatus }) {
  return <Sign {...SHOWN[status]}>{status}</Sign>;
}

const COLUMNS: Column<RunBrief>[] = [
  { name: "Action", width: "minmax(7rem, 0.8fr)", cell: (run) => <RunLink id={run.id}>{run.name}</RunLink> },
  { name: "Status", width: "6.5rem", cell: ({ status }) => <RunState status={status} /> },
  { name: "Question or error", width: "minmax(6rem, 1fr)", cell: (run) => <Last run={run} />, isWide: true },
  { name: "Begun", width: "6.5rem", cell: ({ createdAt }) => <Ago at={createdAt} /> },
  { name: "Took", width: "5.5rem", cell: (run) => <Took run={run} />, isWide: true },
];

interface Props {
  label: string;
  runs: readonly RunBrief[] | undefined;
  /** More than these are there, and come when they are in sight. */
  hasMore?: boolean;
  onSight?: (first: number, last: number) => void;
}

export function RunList({ label, runs, hasMore = false, onSight }: Props) {
  const [, go] = useLocation();
  return (
    <Table
      label={label}
      columns={COLUMNS}
      count={runs ? runs.length + (hasMore ? 1 : 0) : SKELETON_ROWS}
      row={(index) => runs?.[index]}
      onOpen={({ id }) => go(`/r/${id}`)}
      {...(onSight && { onSight })}
    />
  );
}

/** A link too, so that it can be opened in a tab of its own; the row is what Tab stops at. */
export function RunLink({ id, children }: { id: string; children: ReactNode }) {
  return (
    <Link href={`/r/${id}`} tabIndex={-1} className={style.name} onClick={(event) => event.stopPropagation()}>
      {children}
    </Link>
  );
}

/** What it came to last, if that is worth a word. */
function Last({ run: { status, question, error } }: { run: RunBrief }) {
  if (error !== null && status === "failure") return <span className={style.error}>{error}</span>;
  if (question !== null) return <span className={style.soft}>{question}</span>;
  return null;
}

function Took({ run: { createdAt, finishedAt } }: { run: RunBrief }) {
  if (finishedAt === null) return <span className={style.soft}>–</span>;
  const ms = Math.max(0, finishedAt - createdAt);
  return <span className={style.number}>{ms < SHORT_MS ? milliseconds(ms) : duration(ms)}</span>;
}
