/** The jobs, the newest first: those that are only here, and those that the server knows. */

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback } from "react";
import { jobs, workers } from "../../api/jobs.ts";
import { Empty } from "../../components/empty.tsx";
import { brief } from "../../components/json.ts";
import { type Column, Table } from "../../components/table.tsx";
import { Ago, count } from "../../components/time.tsx";
import { type ShownJob, shownLocal, useLocalJobs } from "../../jobs/shown.ts";
import { type Tab, useStanding } from "../../jobs/tab.ts";
import { JobState, titleOf, tookOf } from "./job_status.tsx";
import style from "./job_list.module.css";

/** So many rows before the end the next page is asked for. */
const AHEAD = 20;
const SKELETON_ROWS = 3;

type Row = Omit<ShownJob, "console">;

interface Props {
  tab: Tab;
  opened: string | undefined;
  onOpen: (id: string) => void;
}

export function JobList({ tab, opened, onOpen }: Props) {
  const here = useLocalJobs(tab);
  const { kind } = useStanding(tab);
  const { data, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(jobs);
  const moved = new Set(here.map(({ key }) => key));
  const there = data?.pages.flatMap(({ objects }) => objects).filter(({ id }) => !moved.has(id));
  const rows: Row[] = [...here.map(shownLocal), ...(there ?? [])];
  const many = rows.length;
  const more = useCallback(
    (_first: number, last: number) => {
      if (last >= many - AHEAD && hasNextPage && !isFetchingNextPage) void fetchNextPage();
    },
    [many, hasNextPage, isFetchingNextPage, fetchNextPage],
  );
  const columns = useColumns();
  const isKnown = there !== undefined || kind === "local";
  if (isKnown && many === 0) {
    return (
      <Empty title="No jobs yet">
        Press Run: the script above runs once, here or wherever a thread is free. What became of it stays in this list.
      </Empty>
    );
  }
  return (
    <div className={style.list}>
      <Table
        label="Jobs"
        columns={columns}
        count={isKnown || many > 0 ? many : SKELETON_ROWS}
        row={(index) => rows[index]}
        onOpen={({ id }) => onOpen(id)}
        isOpened={({ id }) => id === opened}
        onSight={more}
        growsAtTop
      />
    </div>
  );
}

function useColumns(): Column<Row>[] {
  const { data: known = [] } = useQuery(workers);
  const names = new Map(known.map(({ id, name }) => [id, name]));
  return [
    { name: "Job", width: "minmax(8rem, 1fr)", cell: (job) => <span className={style.name}>{titleOf(job)}</span> },
    { name: "Status", width: "6rem", cell: ({ status }) => <JobState status={status} /> },
    { name: "Came to", width: "minmax(6rem, 1.1fr)", cell: (job) => <CameTo job={job} />, isWide: true },
    {
      name: "Worker",
      width: "minmax(5rem, 0.9fr)",
      cell: ({ worker, isLocal }) => (
        <span className={style.soft}>{isLocal ? "this browser" : worker ? (names.get(worker) ?? worker) : "–"}</span>
      ),
      isWide: true,
    },
    {
      name: "Attempts",
      width: "4.5rem",
      cell: ({ attempts }) => <span className={style.number}>{attempts}</span>,
      isWide: true,
    },
    { name: "Begun", width: "5.5rem", cell: ({ createdAt }) => <Ago at={createdAt} /> },
    { name: "Took", width: "4.5rem", cell: (job) => <span className={style.number}>{tookOf(job)}</span>, isWide: true },
  ];
}

/** Its result, its error, or how far it is: in a line. */
function CameTo({ job }: { job: Row }) {
  const { status, error, result, progress, refusal } = job;
  if (refusal) return <span className={style.bad}>Not sent: {refusal}</span>;
  if (error) return <span className={style.bad}>{error.message || error.name}</span>;
  if (status === "done" && result !== undefined) return <code>{brief(result)}</code>;
  if (status === "done") return job.count ? <span className={style.soft}>{count(job.count)} results</span> : null;
  if (status === "cancelled") return null;
  if (job.count) return <span className={style.soft}>{`${count(job.done ?? 0)} of ${count(job.count)}`}</span>;
  if (!progress) return null;
  const share = progress.total > 0 ? Math.round((100 * progress.done) / progress.total) : 0;
  return <span className={style.soft}>{[`${share} %`, progress.note].filter(Boolean).join(" · ")}</span>;
}
