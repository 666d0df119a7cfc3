/** The list of hooks: what each is called, whether it runs, and what happens to it. */

import { useQuery } from "@tanstack/react-query";
import { Link, useLocation } from "wouter";
import * as queries from "../api/queries.ts";
import type { Hook } from "../api/types.ts";
import style from "./hook_list.module.css";
import { Sparkline } from "./sparkline.tsx";
import { Sign } from "./status.tsx";
import { type Column, Table } from "./table.tsx";
import { Ago, count } from "./time.tsx";

/** Drawn while the hooks are not there yet. */
const SKELETON_ROWS = 3;

const COLUMNS: Column<Hook>[] = [
  { name: "Name", width: "minmax(7rem, 1fr)", cell: (hook) => <Name hook={hook} /> },
  { name: "State", width: "4.75rem", cell: ({ workflowState }) => <State state={workflowState} /> },
  { name: "Last 24 hours", width: "7rem", cell: ({ id }) => <Rate id={id} />, isWide: true },
  { name: "Last request", width: "6.25rem", cell: ({ id }) => <LastRequest id={id} /> },
  { name: "Errors", width: "5rem", cell: ({ id }) => <Errors id={id} />, isWide: true },
  {
    name: "Requests",
    width: "6rem",
    cell: ({ requestCount }) => <span className={style.number}>{count(requestCount)}</span>,
    isWide: true,
  },
];

export function HookList({ label, hooks }: { label: string; hooks: readonly Hook[] | undefined }) {
  const [, go] = useLocation();
  return (
    <Table
      label={label}
      columns={COLUMNS}
      count={hooks?.length ?? SKELETON_ROWS}
      row={(index) => hooks?.[index]}
      onOpen={({ id }) => go(`/hooks/${id}`)}
      rowHeight={40}
    />
  );
}

/** The hooks with these words in their name or description. */
export function hooksWith(hooks: readonly Hook[], words: string): Hook[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return hooks.filter(({ name, description }) => {
    const text = `${name} ${description}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

/** A link too, so that it can be opened in a tab of its own; the row is what Tab stops at. */
function Name({ hook }: { hook: Hook }) {
  return (
    <span className={style.name}>
      <Link href={`/hooks/${hook.id}`} tabIndex={-1} onClick={(event) => event.stopPropagation()}>
        {hook.name}
      </Link>
      {hook.published === null && <span className={style.aside}>not published</span>}
      {hook.description && <span className={style.aside}>{hook.description}</span>}
    </span>
  );
}

function State({ state }: { state: Hook["workflowState"] }) {
  return state === "live" ? (
    <Sign icon="check" tone="ok" why="Requests are kept and folded.">
      live
    </Sign>
  ) : (
    <Sign icon="pause" tone="warn" why="Requests are kept, and folded when it is live again.">
      paused
    </Sign>
  );
}

function Rate({ id }: { id: string }) {
  const { data } = useQuery(queries.activity(id));
  if (!data) return <Unknown />;
  return <Sparkline counts={data.buckets.map(({ count }) => count)} what="request" when="in the last 24 hours" />;
}

function LastRequest({ id }: { id: string }) {
  const { data } = useQuery(queries.activity(id));
  if (!data) return <Unknown />;
  return data.lastRequestAt === null ? <span className={style.soft}>never</span> : <Ago at={data.lastRequestAt} />;
}

function Errors({ id }: { id: string }) {
  const { data } = useQuery(queries.activity(id));
  if (!data) return <Unknown />;
  if (data.recentErrors === 0) return <span className={style.soft}>none</span>;
  return (
    <Sign icon="warning" tone="bad" why="At so many of the newest 40 requests the responder or the reducer failed.">
      {count(data.recentErrors)}
    </Sign>
  );
}

function Unknown() {
  return <span className={style.soft}>–</span>;
}
