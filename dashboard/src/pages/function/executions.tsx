/** The tab Executions: every call of the function, the newest first, and one to leave for later. */

import { useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useState } from "react";
import { executions } from "../../api/functions.ts";
import type { ExecutionBrief, UserFunction } from "../../api/types.ts";
import { useCommands } from "../../commands.ts";
import { Button } from "../../components/button.tsx";
import { Empty } from "../../components/empty.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { useOpened } from "../../components/tabs.tsx";
import { Ago } from "../../components/time.tsx";
import { ExecutionSheet } from "./execution_sheet.tsx";
import { ExecutionState, StatusCode, startOf, tookOf } from "./execution_status.tsx";
import style from "./executions.module.css";
import { RunLater } from "./run_later.tsx";

/** So many rows before the end the next page is asked for. */
const AHEAD = 20;
const SKELETON_ROWS = 3;

const COLUMNS: Column<ExecutionBrief>[] = [
  { name: "Status", width: "6.5rem", cell: (execution) => <ExecutionState of={execution} /> },
  { name: "Code", width: "3rem", cell: (execution) => <StatusCode of={execution} /> },
  {
    name: "Request",
    width: "minmax(4.5rem, 1.6fr)",
    cell: ({ method, path }) => <code title={`${method} ${path}`}>{`${method} ${path}`}</code>,
  },
  { name: "Failure", width: "minmax(5rem, 0.6fr)", cell: (execution) => <Failure of={execution} />, isWide: true },
  {
    name: "Trigger",
    width: "5rem",
    cell: ({ trigger }) => <span className={style.soft}>{trigger}</span>,
    isWide: true,
  },
  {
    name: "Start",
    width: "3.5rem",
    cell: (execution) => <span className={style.soft}>{startOf(execution)}</span>,
    isWide: true,
  },
  {
    name: "Took",
    width: "5rem",
    cell: (execution) => <span className={style.number}>{tookOf(execution)}</span>,
    isWide: true,
  },
  { name: "Begun", width: "6rem", cell: ({ createdAt }) => <Ago at={createdAt} /> },
];

export function Executions({ of }: { of: UserFunction }) {
  const { data, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(executions(of.id));
  const [opened, open] = useOpened("execution");
  const [isLater, setLater] = useState(false);
  useCommands([{ name: "Run later", run: () => setLater(true) }]);
  const rows = data?.pages.flatMap(({ objects }) => objects);
  const many = rows?.length ?? 0;
  const more = useCallback(
    (_first: number, last: number) => {
      if (last >= many - AHEAD && hasNextPage && !isFetchingNextPage) void fetchNextPage();
    },
    [many, hasNextPage, isFetchingNextPage, fetchNextPage],
  );
  return (
    <div className={style.executions}>
      <header className={style.head}>
        <p className={style.soft}>Each call with its answer and what it logged. A row opens it.</p>
        <Button icon="clock" onClick={() => setLater(true)}>
          Run later
        </Button>
      </header>
      {rows?.length === 0 ? (
        <Empty title="No executions yet">
          Press <b>Send request</b> under Overview, or run <code>curl {of.url}</code>. Each call stays here.
        </Empty>
      ) : (
        <div className={style.list}>
          <Table
            label="Executions"
            columns={COLUMNS}
            count={rows?.length ?? SKELETON_ROWS}
            row={(index) => rows?.[index]}
            onOpen={({ id }) => open(id)}
            isOpened={({ id }) => id === opened}
            onSight={more}
            growsAtTop
          />
        </div>
      )}
      {opened !== undefined && <ExecutionSheet of={of} id={opened} onClose={() => open(undefined)} />}
      <RunLater of={of} isOpen={isLater} onClose={() => setLater(false)} />
    </div>
  );
}

function Failure({ of: { code, error } }: { of: ExecutionBrief }) {
  return (
    code && (
      <code className={style.bad} title={error ?? undefined}>
        {code}
      </code>
    )
  );
}
