/** What waits for a person: questions of runs, and actions that a program would have somebody begin. */

import { Link, useLocation } from "wouter";
import { beginQueued, pathOf, queue } from "../api/actions.ts";
import type { Queued, RunBrief } from "../api/types.ts";
import { useChange } from "../api/queries.ts";
import { RunLink, RunState } from "./run_list.tsx";
import { Sign } from "./status.tsx";
import { type Column, Table } from "./table.tsx";
import { Ago } from "./time.tsx";
import { useToast } from "./toast.tsx";
import style from "./waiting_list.module.css";

type Waiting = { run: RunBrief } | { queued: Queued };

interface Props {
  runs: readonly RunBrief[];
  queued: readonly Queued[];
}

export function WaitingList({ runs, queued }: Props) {
  const [, go] = useLocation();
  const toast = useToast();
  const began = useChange(beginQueued, [queue.queryKey]);
  const begin = ({ id }: Queued) => {
    if (began.isPending) return;
    // The promise outlives the list, which may be empty when it is kept.
    began.mutateAsync(id).then((run) => go(`/r/${run.id}`), toast.failed);
  };
  const columns: Column<Waiting>[] = [
    {
      name: "Question",
      width: "minmax(7rem, 1fr)",
      cell: (waiting) =>
        "run" in waiting ? (
          <RunLink id={waiting.run.id}>{waiting.run.question ?? waiting.run.name}</RunLink>
        ) : (
          <QueuedLink queued={waiting.queued} onBegin={() => begin(waiting.queued)} />
        ),
    },
    {
      name: "Action",
      width: "minmax(6rem, 0.7fr)",
      cell: (waiting) => <span className={style.soft}>{whatOf(waiting).name}</span>,
      isWide: true,
    },
    { name: "Status", width: "6.5rem", cell: (waiting) => <State waiting={waiting} /> },
    { name: "Since", width: "6.5rem", cell: (waiting) => <Ago at={whatOf(waiting).createdAt} /> },
  ];
  const all: Waiting[] = [...queued.map((queued) => ({ queued })), ...runs.map((run) => ({ run }))];
  return (
    <Table
      label="Waiting for you"
      columns={columns}
      count={all.length}
      row={(index) => all[index]}
      onOpen={(waiting) => ("run" in waiting ? go(`/r/${waiting.run.id}`) : begin(waiting.queued))}
      rowHeight={40}
    />
  );
}

const whatOf = (waiting: Waiting) => ("run" in waiting ? waiting.run : waiting.queued);

function State({ waiting }: { waiting: Waiting }) {
  if ("run" in waiting) return <RunState status={waiting.run.status} />;
  return (
    <Sign icon="plus" tone="plain" why="A program asks that somebody runs it.">
      queued
    </Sign>
  );
}

/** To follow it takes it out of the queue, and begins it with what was queued for it. */
function QueuedLink({ queued, onBegin }: { queued: Queued; onBegin: () => void }) {
  return (
    <span data-pw-queued-action-slug={queued.slug}>
      <Link
        href={`/a/${pathOf(queued.slug)}`}
        tabIndex={-1}
        className={style.name}
        onClick={(event) => {
          event.stopPropagation();
          if (event.ctrlKey || event.metaKey || event.shiftKey) return;
          event.preventDefault();
          onBegin();
        }}
      >
        Run {queued.name}
      </Link>
      {queued.assignee && <span className={style.soft}> for {queued.assignee}</span>}
    </span>
  );
}
