/** The requests of a hook as they come, each a row, and the state they lead to below. */

import { useQueries, useQueryClient } from "@tanstack/react-query";
import { useCallback, useState } from "react";
import { useSearchParams } from "wouter";
import * as queries from "../../api/queries.ts";
import { REQUESTS_PAGE } from "../../api/queries.ts";
import type { Hook, RequestBrief } from "../../api/types.ts";
import { Empty } from "../../components/empty.tsx";
import { Status } from "../../components/status.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { clockOf, count, dayOf, Time } from "../../components/time.tsx";
import { RequestSheet } from "./request.tsx";
import style from "./requests.module.css";
import { StateRegion } from "./state.tsx";
import { type Moment, TimeSlider } from "./time.tsx";

const COLUMNS: Column<RequestBrief>[] = [
  { name: "No.", width: "4rem", cell: ({ seq }) => <span className={style.number}>{count(seq)}</span> },
  { name: "Time", width: "5.2rem", cell: ({ createdAt }) => <Time at={createdAt} as={clockOf} /> },
  { name: "Status", width: "6rem", cell: ({ status, error }) => <Status status={status} hasError={error !== null} /> },
  { name: "Method", width: "3.6rem", isWide: true, cell: ({ method }) => <code>{method}</code> },
  {
    name: "Body",
    width: "minmax(6rem, 1fr)",
    cell: ({ excerpt, error }) => (
      <code className={style.excerpt}>
        {error ? (
          <span className={style.error}>
            {error.name}: {error.message}
          </span>
        ) : (
          excerpt || <span className={style.nothing}>no body</span>
        )}
      </code>
    ),
  },
];

export function Requests({ hook, moment }: { hook: Hook; moment: Moment }) {
  const [search, setSearch] = useSearchParams();
  const opened = Number(search.get("request") ?? 0) || undefined;
  const open = (seq: number | undefined) =>
    setSearch((search) => {
      const next = new URLSearchParams(search);
      if (seq === undefined) next.delete("request");
      else next.set("request", String(seq));
      return next;
    });
  const { row, onSight } = useRows(hook);
  const shown = moment.isLive ? undefined : hook.lastSeq - moment.seq;
  return (
    <div className={style.requests}>
      {hook.requestCount === 0 ? (
        <div className={style.table}>
          <Empty title="No requests yet">
            Press <b>Send request</b>, or run the curl line beside it. What arrives is kept for ever, and shown here as
            it comes.
          </Empty>
        </div>
      ) : (
        <div className={style.table}>
          <Table
            label="Requests"
            columns={COLUMNS}
            count={hook.requestCount}
            row={row}
            rowKey={(index) => hook.lastSeq - index}
            onSight={onSight}
            onOpen={({ seq }) => open(seq)}
            isOpened={({ seq }) => seq === opened || (!moment.isLive && seq === moment.seq)}
            line={({ createdAt }) => dayOf(createdAt)}
            growsAtTop
            shown={shown}
          />
        </div>
      )}
      <TimeSlider hook={hook} moment={moment} />
      <StateRegion moment={moment} />
      {opened !== undefined && <RequestSheet hook={hook} seq={opened} onOpen={open} moment={moment} />}
    </div>
  );
}

/** Row 0 is the newest. Pages are fetched as they come into sight, wherever that is. */
function useRows(hook: Hook) {
  const cache = useQueryClient();
  const { id, lastSeq } = hook;
  const [sight, setSight] = useState<readonly [number, number]>([0, 0]);
  // Pages change seldom while rows go by: only then is anything drawn anew.
  const onSight = useCallback(
    (first: number, last: number) => {
      const [newest, oldest] = [pageOf(lastSeq - first), pageOf(lastSeq - last)];
      setSight((sight) => (sight[0] === newest && sight[1] === oldest ? sight : [newest, oldest]));
    },
    [lastSeq],
  );
  const pages = Array.from({ length: sight[0] - sight[1] + 1 }, (_, step) => sight[1] + step);
  useQueries({ queries: pages.map((page) => queries.requests(id, page)) });
  const row = (index: number): RequestBrief | undefined => {
    const seq = lastSeq - index;
    const rows = cache.getQueryData(queries.requests(id, pageOf(seq)).queryKey);
    const first = rows?.[0];
    return first && rows[seq - first.seq];
  };
  return { row, onSight };
}

function pageOf(seq: number): number {
  return Math.max(0, Math.floor((seq - 1) / REQUESTS_PAGE));
}
