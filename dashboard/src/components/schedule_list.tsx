/** Schedules in a table: what runs by itself, when it does next, and what came of the last time. */

import { type ReactNode, useState } from "react";
import { useChange } from "../api/queries.ts";
import { changeSchedule, deleteSchedule, makeSchedule, schedules } from "../api/schedules.ts";
import type { Action, Schedule } from "../api/types.ts";
import { Button } from "./button.tsx";
import { momentIn, wordsOf } from "./recurrence.ts";
import { RunLink, RunState } from "./run_list.tsx";
import { ScheduleDialog } from "./schedule_dialog.tsx";
import style from "./schedule_list.module.css";
import { Sign } from "./status.tsx";
import { type Column, Table } from "./table.tsx";
import { Ago } from "./time.tsx";
import { useToast } from "./toast.tsx";

interface Props {
  schedules: readonly Schedule[];
  /** For their names. */
  actions: readonly Action[];
}

export function ScheduleList({ schedules: all, actions }: Props) {
  const [opened, setOpened] = useState<Schedule>();
  const { pause, remove } = useChanges();
  const nameOf = ({ name, slug }: Schedule) => name ?? actions.find((action) => action.slug === slug)?.name ?? slug;
  const columns: Column<Schedule>[] = [
    {
      name: "Action",
      width: "minmax(6rem, 1fr)",
      cell: (schedule) => (
        <TwoLines first={<strong className={style.name}>{nameOf(schedule)}</strong>} second={<When of={schedule} />} />
      ),
    },
    { name: "Next", width: "minmax(7.75rem, 1fr)", cell: (schedule) => <Next of={schedule} /> },
    { name: "Last run", width: "minmax(7rem, 0.6fr)", cell: (schedule) => <Last of={schedule} />, isWide: true },
    {
      name: "Change",
      isNameUnseen: true,
      width: "3.5rem",
      cell: (schedule) => (
        <span className={style.buttons}>
          <Button
            kind="quiet"
            icon={schedule.paused ? "play" : "pause"}
            aria-label={`${schedule.paused ? "Resume" : "Pause"} ${nameOf(schedule)}`}
            title={schedule.paused ? "Resume" : "Pause"}
            onClick={(event) => {
              event.stopPropagation();
              pause(schedule, nameOf(schedule));
            }}
          />
          <Button
            kind="quiet"
            icon="bin"
            aria-label={`Delete schedule of ${nameOf(schedule)}`}
            title="Delete"
            onClick={(event) => {
              event.stopPropagation();
              remove(schedule, nameOf(schedule));
            }}
          />
        </span>
      ),
    },
  ];
  return (
    <>
      <Table
        label="Schedules"
        columns={columns}
        count={all.length}
        row={(index) => all[index]}
        onOpen={setOpened}
        rowHeight={52}
      />
      <ScheduleDialog
        scheduling={opened && { schedule: opened, name: nameOf(opened) }}
        onClose={() => setOpened(undefined)}
      />
    </>
  );
}

function useChanges() {
  const toast = useToast();
  const change = useChange(changeSchedule, [schedules.queryKey]);
  const removal = useChange(deleteSchedule, [schedules.queryKey]);
  const again = useChange(makeSchedule, [schedules.queryKey]);
  return {
    pause: ({ id, paused }: Schedule, name: string) =>
      change.mutate(
        { id, paused: !paused },
        {
          onSuccess: ({ nextAt, timezone }) =>
            toast.done(
              nextAt === null ? `${name} is paused.` : `${name} goes on, next on ${momentIn(timezone, nextAt)}.`,
            ),
          onError: toast.failed,
        },
      ),
    remove: ({ id, slug, name: own, cron, timezone, params, paused, notifyOnSuccess }: Schedule, name: string) => {
      const same = { slug, name: own, cron, timezone, params, paused, notifyOnSuccess };
      const undo = () => void again.mutateAsync(same).catch(toast.failed);
      // The promise outlives the list, which goes with its last row.
      removal.mutateAsync(id).then(() => toast.done(`The schedule of ${name} is deleted.`, undo), toast.failed);
    },
  };
}

function TwoLines({ first, second }: { first: ReactNode; second: ReactNode }) {
  return (
    <span className={style.two}>
      <span>{first}</span>
      <span className={style.soft}>{second}</span>
    </span>
  );
}

function When({ of: { cron } }: { of: Schedule }) {
  const words = wordsOf(cron);
  return words === undefined ? <code>{cron}</code> : <span title={cron}>{words}</span>;
}

function Next({ of: { nextAt, timezone, paused } }: { of: Schedule }) {
  if (nextAt === null) {
    return (
      <Sign icon="pause" tone="plain" why={paused ? "It begins nothing until it is resumed." : "No time is left."}>
        {paused ? "paused" : "never"}
      </Sign>
    );
  }
  const there = `${momentIn(timezone, nextAt)}, ${timezone}`;
  return <TwoLines first={<Ago at={nextAt} />} second={<span title={there}>{there}</span>} />;
}

function Last({ of: { lastRun } }: { of: Schedule }) {
  if (lastRun === null) return <span className={style.soft}>not yet</span>;
  const { id, at, status, error } = lastRun;
  if (id === null) {
    return (
      <TwoLines
        first={
          <Sign icon="warning" tone="bad" why={error ?? "Nothing could be begun."}>
            not begun
          </Sign>
        }
        second={<span title={error ?? undefined}>{error}</span>}
      />
    );
  }
  return (
    <TwoLines
      first={status === null ? "begun" : <RunState status={status} />}
      second={
        <RunLink id={id}>
          <Ago at={at} />
        </RunLink>
      }
    />
  );
}
