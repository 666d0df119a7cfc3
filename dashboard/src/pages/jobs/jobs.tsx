/** Jobs: a script to run, what became of those that ran, and what they run on. Every open tab of this page is a worker. */

import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { useSearchParams } from "wouter";
import { useJobsLive } from "../../api/jobs.ts";
import * as queries from "../../api/queries.ts";
import { Card, Page, Section } from "../../components/page.tsx";
import { useLocalJobs } from "../../jobs/shown.ts";
import { useStanding, useTab, type Tab } from "../../jobs/tab.ts";
import { Sign } from "../../components/status.tsx";
import { useTitle } from "../../title.ts";
import { Composer } from "./composer.tsx";
import { JobList } from "./job_list.tsx";
import { JobSheet } from "./job_sheet.tsx";
import style from "./jobs.module.css";
import { Outcome } from "./outcome.tsx";
import { Threads } from "./threads.tsx";
import { WorkerList } from "./worker_list.tsx";

/** Which job was run here last: its result stays in sight, also when the page is loaded again. */
const RAN_STORED = "everfold-jobs-ran";

export default function JobsPage() {
  useTitle("Jobs");
  useOffline();
  // Who signs in, be it in another tab, has other jobs, and is another worker.
  return <Mine key={useCallers()} />;
}

function Mine() {
  useJobsLive();
  const tab = useTab();
  return (
    <Page
      title="Jobs"
      about="A script and an input, run once on whatever is open. As long as this page is, it is a worker."
      actions={tab && <Stands tab={tab} />}
    >
      {tab && <Whole tab={tab} />}
    </Page>
  );
}

function Whole({ tab }: { tab: Tab }) {
  const [ran, setRan] = useState(() => sessionStorage.getItem(RAN_STORED) ?? undefined);
  const [opened, open] = useOpened();
  const gone = useCallback(() => setRan(undefined), []);
  useLocalJobs(tab);
  const shown = ran && (tab.local.deliveredAs(ran) ?? ran);
  useEffect(() => {
    if (shown) sessionStorage.setItem(RAN_STORED, shown);
    else sessionStorage.removeItem(RAN_STORED);
  }, [shown]);
  return (
    <>
      <div className={style.columns}>
        <div className={style.column}>
          <Composer tab={tab} onRun={setRan} />
          {shown && <Outcome key={shown} tab={tab} id={shown} onOpen={open} onGone={gone} />}
        </div>
        <div className={style.column}>
          <Threads tab={tab} />
          <WorkerList tab={tab} />
        </div>
      </div>
      <Section title="Jobs">
        <Card isFlush>
          <JobList tab={tab} opened={opened} onOpen={open} />
        </Card>
      </Section>
      {opened !== undefined && <JobSheet tab={tab} id={opened} onClose={() => open(undefined)} />}
    </>
  );
}

/** Which caller this is: the first one, the second one, … */
function useCallers(): number {
  const id = useQuery(queries.me).data?.id;
  const [callers, setCallers] = useState(1);
  const before = useRef(id);
  useEffect(() => {
    if (id && before.current && id !== before.current) setCallers((callers) => callers + 1);
    if (id) before.current = id;
  }, [id]);
  return callers;
}

/** Whether there is a server, which is worth a word where there is none. */
function Stands({ tab }: { tab: Tab }) {
  const { kind } = useStanding(tab);
  return (
    <div role="status" className={style.stands}>
      {kind === "connected" && (
        <Sign icon="check" tone="ok">
          connected
        </Sign>
      )}
      {kind === "connecting" && (
        <Sign icon="clock" tone="plain">
          connecting
        </Sign>
      )}
      {kind === "local" && (
        <>
          <span className={style.local}>
            <Sign icon="away" tone="warn">
              local mode
            </Sign>
          </span>
          <span className={style.why}>Jobs run in this tab, and are sent when the server is back.</span>
        </>
      )}
    </div>
  );
}

/** The opened job is part of the address, so that it can be gone back to. */
function useOpened(): [string | undefined, (id: string | undefined) => void] {
  const [search, setSearch] = useSearchParams();
  const open = (id: string | undefined) => setSearch(id === undefined ? {} : { job: id });
  return [search.get("job") ?? undefined, open];
}

/** From the second visit on the page is there without a server, too. */
function useOffline() {
  useEffect(() => {
    if (import.meta.env.DEV || !("serviceWorker" in navigator)) return;
    // Where a browser forbids it, the page is what it is without.
    navigator.serviceWorker.register("/service-worker.js", { scope: "/jobs" }).catch(() => {});
  }, []);
}
