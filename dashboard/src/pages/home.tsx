/** What is here: on a first visit a hook to begin with, later what waits for somebody, what can be run, and the hooks. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { actions, openRuns, queue, useRunsTold, waiting } from "../api/actions.ts";
import { firstHook } from "../api/first_hook.ts";
import * as queries from "../api/queries.ts";
import { schedules } from "../api/schedules.ts";
import { ActionList, listed } from "../components/action_list.tsx";
import { AddAction } from "../components/add_action.tsx";
import { Button } from "../components/button.tsx";
import { Empty } from "../components/empty.tsx";
import { Field } from "../components/field.tsx";
import { HookList } from "../components/hook_list.tsx";
import { NewHook } from "../components/new_hook.tsx";
import { Card, Page, Section } from "../components/page.tsx";
import { Results, resultsOf } from "../components/results.tsx";
import { ScheduleList } from "../components/schedule_list.tsx";
import { GuestNote } from "../components/sign_in.tsx";
import { count } from "../components/time.tsx";
import { useToast } from "../components/toast.tsx";
import { WaitingList } from "../components/waiting_list.tsx";
import { byRecency } from "../recent.ts";
import { useTitle } from "../title.ts";
import style from "./home.module.css";

const HOOKS_SHOWN_MAX = 6;
const WAITING_SHOWN_MAX = 8;

export function HomePage() {
  useTitle("Everfold");
  useRunsTold();
  const { data: me } = useQuery(queries.me);
  const { data: hooks } = useQuery(queries.hooks);
  const known = [useQuery(actions), useQuery(openRuns)];
  // Who has connected a program, and no hook, was here before.
  const hasOthers = known.some(({ data, isFetched }) => !isFetched || (data && data.length > 0));
  const isFirstVisit = me?.workflowState === "guest" && hooks?.length === 0 && !hasOthers;
  return (
    <Page
      title="Functions that are online and never forget"
      about="Everfold gives your code an address, keeps every request that arrives there, and folds them into a state you can read, watch and travel back through."
    >
      {isFirstVisit ? <FirstVisit /> : <Everything />}
    </Page>
  );
}

/** Nothing to fill in: the first hook is there before anybody asks. */
function FirstVisit() {
  const cache = useQueryClient();
  const toast = useToast();
  const [, go] = useLocation();
  const [isRefused, setRefused] = useState(false);
  useEffect(() => {
    let isGone = false;
    firstHook().then(
      (hook) => {
        if (isGone) return;
        cache.setQueryData(queries.hook(hook.id).queryKey, hook);
        void cache.invalidateQueries({ queryKey: queries.hooks.queryKey });
        go(`/hooks/${hook.id}`, { replace: true });
      },
      (error: Error) => {
        if (isGone) return;
        toast.failed(error);
        setRefused(true);
      },
    );
    return () => {
      isGone = true;
    };
  }, [cache, go, toast]);
  if (isRefused) {
    return (
      <Empty title="Your first hook could not be made">
        <NewHook kind="main" />
      </Empty>
    );
  }
  return (
    <p role="status" className={style.making}>
      Making your first hook…
    </p>
  );
}

/** One field finds all of it; without words, what is most pressing stands first. */
function Everything() {
  const { data: hooks } = useQuery(queries.hooks);
  const { data: known } = useQuery(actions);
  const [words, setWords] = useState("");
  const [, go] = useLocation();
  const typed = words.trim();
  const results = typed ? resultsOf(typed, listed(known ?? []), byRecency(hooks ?? [])) : [];
  return (
    <>
      <form
        className={style.search}
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          if (results[0]) go(results[0].href);
        }}
      >
        <Field
          label="Search"
          isLabelUnseen
          type="search"
          placeholder="Search actions, pages and hooks"
          value={words}
          onChange={(event) => setWords(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "ArrowDown" || !typed) return;
            event.preventDefault();
            document.querySelector<HTMLElement>("[data-pw-search-result]")?.focus();
          }}
        />
        <p role="status" className="unseen">
          {typed && `${results.length} found`}
        </p>
      </form>
      {typed ? (
        <Section title="Results">
          <Card isFlush>
            {results.length > 0 ? (
              <Results results={results} />
            ) : (
              <Empty title="No results found">
                Nothing here is called ‘{typed}’. <Button onClick={() => setWords("")}>Clear search</Button>
              </Empty>
            )}
          </Card>
        </Section>
      ) : (
        <>
          <WaitingForYou />
          {known && known.length > 0 && <Actions />}
          <Schedules />
          <Hooks />
          {known?.length === 0 && <NoActions />}
        </>
      )}
    </>
  );
}

/** Nothing, while nothing waits. */
function WaitingForYou() {
  const { data: open = [] } = useQuery(openRuns);
  const { data: queued = [] } = useQuery(queue);
  const runs = waiting(open);
  const many = runs.length + queued.length;
  if (many === 0) return null;
  const room = Math.max(0, WAITING_SHOWN_MAX - queued.length);
  return (
    <Section
      title="Waiting for you"
      actions={many > WAITING_SHOWN_MAX && <Link href="/history?status=waiting">All {count(runs.length)} runs</Link>}
    >
      <Card isFlush>
        <WaitingList runs={runs.slice(0, room)} queued={queued} />
      </Card>
    </Section>
  );
}

function Actions() {
  const { data: known = [] } = useQuery(actions);
  return (
    <Section title="Actions">
      <Card isFlush>
        <ActionList actions={listed(known)} />
      </Card>
    </Section>
  );
}

/** Nothing, while nothing is scheduled. */
function Schedules() {
  const { data: known = [] } = useQuery(actions);
  const { data: all = [] } = useQuery(schedules);
  if (all.length === 0) return null;
  return (
    <Section title="Schedules">
      <Card isFlush>
        <ScheduleList schedules={all} actions={known} />
      </Card>
    </Section>
  );
}

function NoActions() {
  return (
    <Section title="Actions">
      <Card isFlush>
        <Empty title="No actions yet">
          <p>
            An action is a tool for people whose interface is written as a function: it asks, does, and shows. Write one
            into a hook, or <Link href="/settings#connect">connect a program</Link> that has some.
          </p>
          <AddAction />
        </Empty>
      </Card>
    </Section>
  );
}

function Hooks() {
  const { data: hooks } = useQuery({ ...queries.hooks, refetchInterval: 10_000 });
  return (
    <Section
      title="Hooks"
      actions={
        <>
          {hooks && hooks.length > HOOKS_SHOWN_MAX && <Link href="/hooks">All {hooks.length} hooks</Link>}
          {hooks?.length !== 0 && <NewHook />}
        </>
      }
    >
      <Card isFlush>
        {hooks?.length === 0 ? (
          <NoHooks sought="" onClear={() => {}} />
        ) : (
          <HookList label="Hooks" hooks={hooks && byRecency(hooks).slice(0, HOOKS_SHOWN_MAX)} />
        )}
      </Card>
      <GuestNote />
    </Section>
  );
}

/** The list is empty, for one reason or the other. */
export function NoHooks({ sought, onClear }: { sought: string; onClear: () => void }) {
  if (sought) {
    return (
      <Empty title="No results found">
        No hook has ‘{sought}’ in its name or description. <Button onClick={onClear}>Clear search</Button>
      </Empty>
    );
  }
  return (
    <Empty title="No hooks yet">
      <p>A hook is an address that anything can send to, and a few functions that say what becomes of it.</p>
      <NewHook kind="main" />
    </Empty>
  );
}
