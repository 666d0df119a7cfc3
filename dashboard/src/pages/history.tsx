/** All runs there ever were, the newest first: found by their action or by how they stand. */

import { useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useEffect } from "react";
import { useSearchParams } from "wouter";
import { runs, useRunsTold } from "../api/actions.ts";
import type { RunBrief, RunStatus } from "../api/types.ts";
import { Button } from "../components/button.tsx";
import { Empty } from "../components/empty.tsx";
import { Field } from "../components/field.tsx";
import { Card, Page } from "../components/page.tsx";
import { RUN_STATUSES, RunList } from "../components/run_list.tsx";
import { count } from "../components/time.tsx";
import { sought } from "../sought.ts";
import { useTitle } from "../title.ts";
import style from "./history.module.css";

/** The server has a list of its own of these, which is short. */
const OPEN: readonly string[] = ["running", "waiting", "parked"] satisfies RunStatus[];
/** As many as fill a window; below that one looks further back. */
const FOUND_MIN = 50;
/** So many rows before the end the next page is asked for. */
const AHEAD = 20;

export function HistoryPage() {
  useTitle("History");
  useRunsTold();
  const { name, status, change, isFiltered, clear } = useFilter();
  const { data, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(
    runs(status !== undefined && OPEN.includes(status)),
  );
  const all = data?.pages.flatMap(({ objects }) => objects);
  const found = all && matching(all, name, status);
  const many = found?.length ?? 0;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  useEffect(() => {
    if (isFiltered && many < FOUND_MIN) more();
  }, [isFiltered, many, more]);
  const onSight = useCallback(
    (_first: number, last: number) => {
      if (last >= many - AHEAD) more();
    },
    [many, more],
  );
  return (
    <Page title="History" isFilled>
      <div className={style.filter}>
        <Field
          label="Filter"
          isLabelUnseen
          type="search"
          placeholder="Filter by action"
          value={name}
          onChange={(event) => change("action", event.target.value)}
        />
        <Field
          as="select"
          label="Status"
          isLabelUnseen
          value={status ?? ""}
          onChange={(event) => change("status", event.target.value)}
        >
          <option value="">Any status</option>
          {RUN_STATUSES.map((status) => (
            <option key={status} value={status}>
              {status}
            </option>
          ))}
        </Field>
        {isFiltered && <Button onClick={clear}>Clear filter</Button>}
        <p role="status" className={style.found}>
          {isFiltered && found && (hasNextPage ? `${count(many)} so far` : `${count(many)} found`)}
        </p>
      </div>
      <Card isFlush>
        {many === 0 && found && !hasNextPage ? (
          <Nothing isFiltered={isFiltered} words={[name.trim(), status].filter(Boolean).join(", ")} onClear={clear} />
        ) : (
          <RunList label="History" runs={found} hasMore={hasNextPage} onSight={onSight} />
        )}
      </Card>
    </Page>
  );
}

function matching(runs: readonly RunBrief[], name: string, status: RunStatus | undefined): RunBrief[] {
  const so = runs.filter((run) => status === undefined || run.status === status);
  if (name.trim() === "") return so;
  const named = new Set(sought(so, name, ({ name, action }) => ({ name, more: action })));
  return so.filter((run) => named.has(run));
}

/** Part of the address, so that it can be sent to somebody. */
function useFilter() {
  const [search, setSearch] = useSearchParams();
  const name = search.get("action") ?? "";
  const status = RUN_STATUSES.find((status) => status === search.get("status"));
  const change = (what: "action" | "status", value: string) =>
    setSearch(
      (search) => {
        const next = new URLSearchParams(search);
        if (value === "") next.delete(what);
        else next.set(what, value);
        return next;
      },
      { replace: true },
    );
  const clear = () => setSearch({}, { replace: true });
  return { name, status, change, clear, isFiltered: name.trim() !== "" || status !== undefined };
}

function Nothing({ isFiltered, words, onClear }: { isFiltered: boolean; words: string; onClear: () => void }) {
  if (isFiltered) {
    return (
      <Empty title={`No records found matching '${words}'`}>
        <Button onClick={onClear}>Clear filter</Button>
      </Empty>
    );
  }
  return (
    <Empty title="No runs yet">
      Run an action from the home page. Every run stays here, with what it asked, what was answered, and how it ended.
    </Empty>
  );
}
