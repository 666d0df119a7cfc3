/** A run: what was answered, what is asked, how it ended. The same at every address it is opened from. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useLocation } from "wouter";
import { Problem } from "../../api/http.ts";
import * as queries from "../../api/queries.ts";
import * as runs from "../../api/runs.ts";
import type { Answered as Answer, Run } from "../../api/types.ts";
import { useCommands } from "../../commands.ts";
import { Button } from "../../components/button.tsx";
import { Icon, type IconName } from "../../components/icon.tsx";
import { ScheduleButton } from "../../components/schedule_dialog.tsx";
import { Sign } from "../../components/status.tsx";
import { Ago } from "../../components/time.tsx";
import { useToast } from "../../components/toast.tsx";
import { Answered } from "../../run/answered.tsx";
import { usePlace } from "../../run/displays/place.tsx";
import { dropDraft } from "../../run/draft.ts";
import { Logs } from "../../run/logs.tsx";
import { Progress } from "../../run/progress.tsx";
import { Question } from "../../run/question.tsx";
import { Result } from "../../run/result.tsx";
import { useTitle } from "../../title.ts";
import { NotFoundPage } from "../not_found.tsx";
import style from "./run.module.css";
import { wasStartedHere } from "./started.ts";

export default function RunPage({ id }: { id: string }) {
  const { data: run, error } = useQuery(runs.run(id));
  if (error instanceof Problem && error.status < 500) return <NotFoundPage />;
  return run ? <Whole run={run} /> : <div className={style.page} aria-busy />;
}

function Whole({ run }: { run: Run }) {
  useTitle(run.name);
  runs.useRunLive(run.id);
  useRedirect(run);
  const { isElsewhere, onAnswer } = useAnswers(run);
  const question = run.question;
  return (
    <div className={style.page}>
      <Head run={run} />
      {!run.isOnline && !runs.isOver(run) && run.parked === null && (
        <Note icon="away" title="offline">
          The program behind this action is away. Answers are saved and accepted, and it goes on when it is back.
        </Note>
      )}
      {accepted(run).map((answer) => (
        <Answered key={answer.key} runId={run.id} answer={answer} />
      ))}
      <div role="status" className={isElsewhere ? style.elsewhere : "unseen"}>
        {isElsewhere && (
          <>
            <Icon name="info" /> This was answered elsewhere.
          </>
        )}
      </div>
      {run.parked && !runs.isOver(run) && <Parked run={run} parked={run.parked} />}
      {question && <Question key={question.key} runId={run.id} question={question} onAnswer={onAnswer} />}
      {(run.loading || run.status === "running") && !question && !runs.isOver(run) && !run.parked && (
        <Progress loading={run.loading} />
      )}
      <Result run={run} />
      <Logs logs={run.logs} isOver={runs.isOver(run)} />
    </div>
  );
}

/** How a run ended, its result says. */
const STATUS: Partial<Record<Run["status"], { words: string; icon: IconName; tone: "warn" | "plain" }>> = {
  running: { words: "running", icon: "play", tone: "plain" },
  waiting: { words: "waiting for you", icon: "clock", tone: "warn" },
  parked: { words: "parked", icon: "pause", tone: "warn" },
};

function Head({ run }: { run: Run }) {
  const status = STATUS[run.status];
  const cancel = useRunChange(runs.cancelRun, run.id);
  const restart = useRestart(run.id);
  useCommands([
    runs.isOver(run)
      ? { name: `Restart ${run.name}`, run: restart.act }
      : { name: `Cancel run of ${run.name}`, run: cancel.act },
  ]);
  return (
    <header className={style.head}>
      <div className={style.name}>
        <h1>{run.name}</h1>
        {run.description && <p className={style.about}>{run.description}</p>}
        <div className={style.facts}>
          {status && (
            <Sign icon={status.icon} tone={status.tone}>
              {status.words}
            </Sign>
          )}
          <span>
            started <Ago at={run.createdAt} />
          </span>
          {run.finishedAt && (
            <span>
              ended <Ago at={run.finishedAt} />
            </span>
          )}
        </div>
      </div>
      {runs.isOver(run) ? (
        <div className={style.acts}>
          <ScheduleButton slug={run.action} name={run.name} />
          <Button icon="restore" isBusy={restart.isPending} onClick={restart.act}>
            Restart
          </Button>
        </div>
      ) : (
        <Button isBusy={cancel.isPending} onClick={cancel.act}>
          Cancel run
        </Button>
      )}
    </header>
  );
}

function Note({ icon, title, children }: { icon: IconName; title: string; children: ReactNode }) {
  return (
    <div className={style.note} role="status">
      <Icon name={icon} />
      <p>
        <strong>{title}</strong> {children}
      </p>
    </div>
  );
}

/** It cannot go on by itself: why, and what can be done. */
function Parked({ run, parked }: { run: Run; parked: NonNullable<Run["parked"]> }) {
  const resume = useRunChange(runs.resumeRun, run.id);
  const abandon = useRunChange(runs.abandonRun, run.id);
  const restart = useRestart(run.id);
  const isChanged = parked.reason === "codeChanged";
  return (
    <div className={style.parked}>
      <Note icon="pause" title={isChanged ? "code changed" : run.isOnline ? "The host came back" : "offline"}>
        {parked.message}
      </Note>
      <div className={style.ways}>
        {isChanged ? (
          <Button kind="main" isBusy={restart.isPending} onClick={restart.act}>
            Restart
          </Button>
        ) : (
          <>
            <Button kind="main" isBusy={resume.isPending} onClick={resume.act}>
              Resume
            </Button>
            <Button kind="danger" isBusy={abandon.isPending} onClick={abandon.act}>
              Abandon
            </Button>
          </>
        )}
      </div>
    </div>
  );
}

/** What the action refused is asked again, and was no answer. */
function accepted({ answers, question }: Run): Answer[] {
  const last = new Map(answers.map((answer) => [runs.firstKey(answer.key), answer]));
  if (question) last.delete(runs.firstKey(question.key));
  return answers.filter((answer) => last.get(runs.firstKey(answer.key)) === answer);
}

/** What is done with a run is seen in it: the line tells, and where it is down the run is read anew. */
function useRunChange(change: (id: string) => Promise<unknown>, id: string) {
  const toast = useToast();
  const { mutate, isPending } = queries.useChange(change, [runs.run(id).queryKey, ["runs"]]);
  return { isPending, act: () => mutate(id, { onError: toast.failed }) };
}

function useRestart(id: string) {
  const toast = useToast();
  const [, go] = useLocation();
  const { mutateAsync, isPending } = queries.useChange(runs.restartRun, [["runs"]]);
  return {
    isPending,
    // The promise outlives the button, which goes as soon as this run is told to be over.
    act: () => void mutateAsync(id).then((started) => go(`/r/${started.id}`), toast.failed),
  };
}

/** The first answer wins; whoever comes second is told, and sees what it was. */
function useAnswers(run: Run) {
  const cache = useQueryClient();
  const [isElsewhere, setElsewhere] = useState(false);
  const mine = useRef(new Set<string>());
  const before = useRef<string>(undefined);
  const key = run.question?.key;
  const isAnswered = run.answers.some((answer) => answer.key === before.current);
  const isEnded = runs.isOver(run);
  useEffect(() => {
    const last = before.current;
    if (key !== undefined) before.current = key;
    if (last === undefined || last === key) return;
    if (isAnswered && !mine.current.has(last)) {
      mine.current.add(last);
      setElsewhere(true);
    }
    // While the action looks at an answer nothing is asked; then it asks the same again, or goes on.
    const isNext = key !== undefined && runs.firstKey(key) !== runs.firstKey(last);
    if (isNext || isEnded) dropDraft(run.id, runs.firstKey(last));
  }, [run.id, key, isAnswered, isEnded]);
  const onAnswer = async (key: string, answer: () => Promise<unknown>) => {
    mine.current.add(key);
    setElsewhere(false);
    try {
      await answer();
    } catch (error) {
      mine.current.delete(key);
      if (!(error instanceof Problem && error.status === 409)) throw error;
      setElsewhere(true);
      await cache.invalidateQueries({ queryKey: runs.run(run.id).queryKey });
    }
  };
  return { isElsewhere, onAnswer };
}

/** A run that leads to another page takes along whoever looked on while it did, once. */
function useRedirect(run: Run) {
  const [, go] = useLocation();
  const place = usePlace(run.redirect ?? undefined);
  const sawItRun = useRef(!runs.isOver(run));
  const href = place && !place.isElsewhere ? place.href : undefined;
  const isReplaced = run.redirect?.replace ?? false;
  useEffect(() => {
    if (href === undefined) return;
    const isOurs = wasStartedHere(run.id) || sawItRun.current;
    sawItRun.current = false;
    if (!isOurs) return;
    go(href, { replace: isReplaced });
  }, [href, isReplaced, run.id, go]);
}
