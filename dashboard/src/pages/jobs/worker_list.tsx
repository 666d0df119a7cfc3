/** Whatever runs jobs now: tabs like this one, headless workers, the server's own pool. */

import { useQuery } from "@tanstack/react-query";
import { workers } from "../../api/jobs.ts";
import type { JobWorker } from "../../api/types.ts";
import { Empty } from "../../components/empty.tsx";
import { Card, Section } from "../../components/page.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { type Tab, useStanding } from "../../jobs/tab.ts";
import style from "./job_list.module.css";

const SKELETON_ROWS = 1;

export function WorkerList({ tab }: { tab: Tab }) {
  const standing = useStanding(tab);
  const { data: known } = useQuery(workers);
  const own = standing.kind === "connected" ? standing.workerId : undefined;
  const isAway = standing.kind === "local";
  const columns: Column<JobWorker>[] = [
    {
      name: "Worker",
      width: "minmax(6rem, 1fr)",
      cell: ({ id, name, userAgent }) => (
        <span title={userAgent ?? undefined}>
          {name}
          {id === own && <span className={style.soft}> · this tab</span>}
        </span>
      ),
    },
    { name: "Kind", width: "4.5rem", cell: ({ kind }) => <span className={style.soft}>{kind}</span> },
    {
      name: "Busy",
      width: "4rem",
      cell: ({ running, threads }) => <span className={style.number}>{`${running} of ${threads}`}</span>,
    },
  ];
  return (
    <Section title="Workers">
      <Card isFlush>
        {isAway ? (
          <Empty title="Nobody but this tab">Others are here again when the server is.</Empty>
        ) : known?.length === 0 ? (
          <Empty title="No workers yet">
            Open this page in another tab, or run <code>everfold worker</code>, and it is one.
          </Empty>
        ) : (
          <div className={style.list}>
            <Table
              label="Workers"
              columns={columns}
              count={known?.length ?? SKELETON_ROWS}
              row={(index) => known?.[index]}
            />
          </div>
        )}
      </Card>
    </Section>
  );
}
