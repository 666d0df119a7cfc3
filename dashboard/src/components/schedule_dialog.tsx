/** When an action runs by itself: chosen in words, or written as a cron expression. */

import { type FormEvent, useState } from "react";
import { Problem } from "../api/http.ts";
import { useChange } from "../api/queries.ts";
import { changeSchedule, makeSchedule, schedules } from "../api/schedules.ts";
import type { Json, NewSchedule, Schedule } from "../api/types.ts";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { Field } from "./field.tsx";
import {
  cronOf,
  DAILY,
  EVERY,
  type Every,
  momentIn,
  ownTimezone,
  type Recurrence,
  recurrenceOf,
  timezones,
  WEEKDAYS,
} from "./recurrence.ts";
import style from "./schedule_dialog.module.css";
import { useToast } from "./toast.tsx";

/** A new one of an action, or one that there is. */
export type Scheduling = { slug: string; name: string } | { schedule: Schedule; name: string };

interface Props {
  scheduling: Scheduling | undefined;
  onClose: () => void;
}

export function ScheduleDialog({ scheduling, onClose }: Props) {
  return (
    <Dialog title={`Schedule ${scheduling?.name ?? ""}`} isOpen={scheduling !== undefined} onClose={onClose}>
      {scheduling && <ScheduleForm scheduling={scheduling} onClose={onClose} />}
    </Dialog>
  );
}

/** Stands beside an action, and opens the dialog. */
export function ScheduleButton({ slug, name, isQuiet = false }: { slug: string; name: string; isQuiet?: boolean }) {
  const [isOpen, setOpen] = useState(false);
  const close = () => setOpen(false);
  return (
    <>
      <Button
        kind={isQuiet ? "quiet" : "plain"}
        icon="clock"
        aria-label={isQuiet ? `Schedule ${name}…` : undefined}
        title={isQuiet ? "Schedule…" : undefined}
        onClick={() => setOpen(true)}
      >
        {isQuiet ? undefined : "Schedule…"}
      </Button>
      <ScheduleDialog scheduling={isOpen ? { slug, name } : undefined} onClose={close} />
    </>
  );
}

/** The field that a refusal is about. */
const FIELDS: Record<string, "cron" | "timezone" | "params"> = {
  cron_malformed: "cron",
  cron_never: "cron",
  timezone_unknown: "timezone",
  schedule_params_too_large: "params",
};

function ScheduleForm({ scheduling, onClose }: { scheduling: Scheduling; onClose: () => void }) {
  const before = "schedule" in scheduling ? scheduling.schedule : undefined;
  const slug = "schedule" in scheduling ? scheduling.schedule.slug : scheduling.slug;
  const [recurrence, setRecurrence] = useState(() => (before ? recurrenceOf(before.cron) : DAILY));
  const [timezone, setTimezone] = useState(before?.timezone ?? ownTimezone());
  const [params, setParams] = useState(before?.params ? JSON.stringify(before.params, null, 2) : "");
  const [isTold, setTold] = useState(before?.notifyOnSuccess ?? false);
  const toast = useToast();
  const change = useChange(
    (body: NewSchedule) => (before ? changeSchedule({ ...body, id: before.id }) : makeSchedule(body)),
    [schedules.queryKey],
  );
  const { error } = change;
  const field = error instanceof Problem ? FIELDS[error.code] : undefined;
  const given = objectOf(params);
  const errorOf = (name: typeof field) => (field === name && error ? wholeOf(error) : undefined);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (given === undefined || change.isPending) return;
    const body: NewSchedule = {
      slug,
      name: before?.name ?? null,
      cron: cronOf(recurrence),
      timezone,
      params: given,
      paused: before?.paused ?? false,
      notifyOnSuccess: isTold,
    };
    change.mutate(body, {
      onSuccess: ({ nextAt, timezone }) => {
        const next = nextAt === null ? "It is paused." : `It runs next on ${momentIn(timezone, nextAt)}, ${timezone}.`;
        toast.done(`${scheduling.name} is scheduled. ${next}`);
        onClose();
      },
    });
  };
  return (
    <form className={style.form} onSubmit={submit}>
      <When recurrence={recurrence} onChange={setRecurrence} error={errorOf("cron")} />
      <Field
        as="select"
        label="Time zone"
        hint="Where clocks are set forward or back, it keeps to the clocks there."
        error={errorOf("timezone")}
        value={timezone}
        onChange={(event) => setTimezone(event.target.value)}
      >
        {[...new Set([timezone, ...timezones()])].map((name) => (
          <option key={name}>{name}</option>
        ))}
      </Field>
      <Field
        as="textarea"
        label="Parameters"
        note="optional"
        rows={3}
        placeholder='{"from": "the schedule"}'
        spellCheck={false}
        error={given === undefined ? "This is not a JSON object." : errorOf("params")}
        value={params}
        onChange={(event) => setParams(event.target.value)}
      />
      <label className={style.told}>
        <input type="checkbox" checked={isTold} onChange={(event) => setTold(event.target.checked)} />
        Notify when it ends well, too
      </label>
      {error && !field && (
        <p role="alert" className={style.error}>
          {wholeOf(error)}
        </p>
      )}
      <div className={style.answers}>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" kind="main" isBusy={change.isPending} disabled={given === undefined}>
          {before ? "Save" : "Schedule"}
        </Button>
      </div>
    </form>
  );
}

interface WhenProps {
  recurrence: Recurrence;
  onChange: (recurrence: Recurrence) => void;
  error: string | undefined;
}

function When({ recurrence, onChange, error }: WhenProps) {
  const { every, minute, time, weekday, day } = recurrence;
  const set = (change: Partial<Recurrence>) => onChange({ ...recurrence, ...change });
  // Whoever goes on to an expression finds there what was chosen.
  const choose = (next: Every) => set({ every: next, ...(next === "custom" ? { cron: cronOf(recurrence) } : {}) });
  return (
    <div className={style.when}>
      <Field as="select" label="Runs" value={every} onChange={(event) => choose(event.target.value as Every)}>
        {Object.entries(EVERY).map(([every, words]) => (
          <option key={every} value={every}>
            {words}
          </option>
        ))}
      </Field>
      {every === "hour" && (
        <Field
          type="number"
          label="Minute"
          min={0}
          max={59}
          required
          value={minute}
          onChange={(event) => set({ minute: event.target.valueAsNumber || 0 })}
        />
      )}
      {every === "week" && (
        <Field
          as="select"
          label="Day"
          value={weekday}
          onChange={(event) => set({ weekday: Number(event.target.value) })}
        >
          {WEEKDAYS.map((name, day) => (
            <option key={name} value={day}>
              {name}
            </option>
          ))}
        </Field>
      )}
      {every === "month" && (
        <Field
          type="number"
          label="Day of the month"
          min={1}
          max={31}
          required
          value={day}
          onChange={(event) => set({ day: event.target.valueAsNumber || 1 })}
        />
      )}
      {every !== "hour" && every !== "custom" && (
        <Field
          type="time"
          label="At"
          required
          value={time}
          error={error}
          onChange={(event) => set({ time: event.target.value })}
        />
      )}
      {every === "custom" && (
        <Field
          label="Cron expression"
          hint="Minute, hour, day of the month, month, day of the week."
          required
          spellCheck={false}
          autoComplete="off"
          className={style.cron}
          error={error}
          value={recurrence.cron}
          onChange={(event) => set({ cron: event.target.value })}
        />
      )}
    </div>
  );
}

/** Empty where there are none, nothing where it is no object. */
function objectOf(text: string): { [name: string]: Json } | undefined {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as { [name: string]: Json })
      : undefined;
  } catch {
    return undefined;
  }
}

const wholeOf = (error: Error) => [error.message, error instanceof Problem && error.hint].filter(Boolean).join(" ");
