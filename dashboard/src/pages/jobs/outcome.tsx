/** What becomes of the job that was run here last, beside its script. */

import { useEffect } from "react";
import { Problem } from "../../api/http.ts";
import { isOver } from "../../api/jobs.ts";
import { Button } from "../../components/button.tsx";
import { Card } from "../../components/page.tsx";
import type { Tab } from "../../jobs/tab.ts";
import { useShownJob } from "../../jobs/shown.ts";
import { JobState, titleOf, tookOf } from "./job_status.tsx";
import { Came, HowFar } from "./came.tsx";
import style from "./outcome.module.css";

interface Props {
  tab: Tab;
  id: string;
  onOpen: (id: string) => void;
  /** There is no such job: it was somebody else's, or is no more. */
  onGone: () => void;
}

export function Outcome({ tab, id, onOpen, onGone }: Props) {
  const { job, error } = useShownJob(tab, id);
  const isGone = error instanceof Problem && error.status === 404;
  useEffect(() => {
    if (isGone) onGone();
  }, [isGone, onGone]);
  if (!job) return null;
  return (
    <Card>
      <section aria-label="Last run" className={style.outcome}>
        <header className={style.head}>
          <h2>{titleOf(job)}</h2>
          <JobState status={job.status} />
          {isOver(job) && <span className={style.took}>{tookOf(job)}</span>}
          <Button kind="quiet" onClick={() => onOpen(job.id)}>
            Open
          </Button>
        </header>
        <HowFar job={job} />
        <Came job={job} isBrief />
      </section>
    </Card>
  );
}
