/** One job, whole: how it stands, what it wrote, what it came to. */

import { useQuery } from "@tanstack/react-query";
import { cancelJob, isOver, job as jobQuery, jobs, workers } from "../../api/jobs.ts";
import * as queries from "../../api/queries.ts";
import { Button } from "../../components/button.tsx";
import { ConsoleLines } from "../../components/console_lines.tsx";
import { CopyButton } from "../../components/copy.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { Facts, Part } from "../../components/facts.tsx";
import { Time } from "../../components/time.tsx";
import { useToast } from "../../components/toast.tsx";
import { useShownJob } from "../../jobs/shown.ts";
import type { Tab } from "../../jobs/tab.ts";
import { Came, HowFar } from "./came.tsx";
import { JobState, titleOf, tookOf } from "./job_status.tsx";
import style from "./job_sheet.module.css";

export function JobSheet({ tab, id, onClose }: { tab: Tab; id: string; onClose: () => void }) {
  const toast = useToast();
  const { job, error } = useShownJob(tab, id);
  const { data: known = [] } = useQuery(workers);
  const cancelled = queries.useChange(cancelJob, [jobs.queryKey, jobQuery(id).queryKey]);
  if (!job) {
    return (
      <Dialog title="Job" isOpen isSheet onClose={onClose}>
        {error && <p role="alert">{error.message}</p>}
      </Dialog>
    );
  }
  const cancel = () => {
    if (!job.isLocal) return cancelled.mutate(job.id, { onError: toast.failed });
    tab.local.cancel(job.id);
    onClose();
  };
  const { worker, attempts, createdAt, refusal, console, result } = job;
  return (
    <Dialog title={titleOf(job)} isOpen isSheet onClose={onClose}>
      <div className={style.tools}>
        {(!isOver(job) || job.isLocal) && (
          <Button icon={isOver(job) ? "bin" : "cross"} onClick={cancel} isBusy={cancelled.isPending}>
            {isOver(job) ? "Forget it" : "Cancel job"}
          </Button>
        )}
        {job.status === "done" && (
          <CopyButton text={JSON.stringify(result, null, 2)} label="Copy the result" kind="plain">
            Copy the result
          </CopyButton>
        )}
      </div>
      <Facts
        facts={[
          ["Status", <JobState key="status" status={job.status} />],
          [
            "Ran on",
            job.isLocal
              ? "this browser, and is sent when the server is back"
              : (known.find(({ id }) => id === worker)?.name ?? worker ?? "–"),
          ],
          ["Attempts", attempts],
          ["Submitted", <Time key="submitted" at={createdAt} />],
          ["Took", tookOf(job)],
          ["Not sent", refusal],
        ]}
      />
      <HowFar job={job} />
      {job.status === "done" ? (
        <Part title="Result">
          <Came job={job} />
        </Part>
      ) : (
        <Came job={job} />
      )}
      <Part title="Console">
        {console.length > 0 ? (
          <ConsoleLines lines={console.map(({ level, text }) => ({ level, messages: [text] }))} />
        ) : (
          <p className={style.nothing}>It wrote nothing.</p>
        )}
      </Part>
    </Dialog>
  );
}
