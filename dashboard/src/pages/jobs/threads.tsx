/** This tab's threads: how many, and what each is doing. */

import { useEffect, useState, useSyncExternalStore } from "react";
import { Field } from "../../components/field.tsx";
import { Icon } from "../../components/icon.tsx";
import { Card, Section } from "../../components/page.tsx";
import { milliseconds } from "../../components/units.ts";
import { THREADS_MAX, type ThreadShown } from "../../jobs/pool.ts";
import { storedThreads, type Tab } from "../../jobs/tab.ts";
import style from "./threads.module.css";

const TICK_MS = 500;

export function Threads({ tab }: { tab: Tab }) {
  const { pool } = tab;
  const threads = useSyncExternalStore(pool.subscribe, pool.threads);
  const waiting = useSyncExternalStore(pool.subscribe, pool.waiting);
  const [wanted, setWanted] = useState(() => String(storedThreads()));
  const number = Number(wanted);
  const isWrong = !Number.isInteger(number) || number < 1 || number > THREADS_MAX;
  return (
    <Section
      title="This tab"
      actions={
        <div className={style.resize}>
          <Field
            label="Threads"
            type="number"
            min={1}
            max={THREADS_MAX}
            value={wanted}
            aria-invalid={isWrong || undefined}
            title={isWrong ? `between 1 and ${THREADS_MAX}` : undefined}
            onChange={(event) => {
              setWanted(event.target.value);
              const threads = Number(event.target.value);
              if (Number.isInteger(threads) && threads >= 1 && threads <= THREADS_MAX) tab.resize(threads);
            }}
          />
        </div>
      }
    >
      <Card isFlush>
        <ul className={style.threads} aria-label="Threads of this tab">
          {threads.map((thread) => (
            <Thread key={thread.number} thread={thread} />
          ))}
        </ul>
        {waiting > 0 && (
          <p className={style.waiting}>
            <Icon name="clock" /> {waiting} more {waiting === 1 ? "waits" : "wait"} for a thread
          </p>
        )}
      </Card>
    </Section>
  );
}

function Thread({ thread: { number, job, isLeaving } }: { thread: ThreadShown }) {
  return (
    <li className={style.thread}>
      <span className={style.number}>{number}</span>
      {job ? (
        <>
          <span className={style.name}>{job.name}</span>
          {isLeaving && <span className={style.soft}>its last</span>}
          <Since at={job.since} />
          {job.progress && job.progress.total > 0 && <Bar share={job.progress.done / job.progress.total} />}
        </>
      ) : (
        <span className={style.soft}>idle</span>
      )}
    </li>
  );
}

function Bar({ share }: { share: number }) {
  return (
    <span className={style.bar} aria-hidden="true">
      <span style={{ width: `${100 * Math.max(0, Math.min(1, share))}%` }} />
    </span>
  );
}

function Since({ at }: { at: number }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  const ms = Math.max(0, now - at);
  return <span className={style.since}>{ms < TICK_MS ? "" : milliseconds(Math.floor(ms / 100) * 100)}</span>;
}
