/** What is here: on a first visit a hook to begin with, later the hooks that were used last. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { firstHook } from "../api/first_hook.ts";
import * as queries from "../api/queries.ts";
import { Button } from "../components/button.tsx";
import { Empty } from "../components/empty.tsx";
import { Field } from "../components/field.tsx";
import { HookList, hooksWith } from "../components/hook_list.tsx";
import { NewHook } from "../components/new_hook.tsx";
import { Card, Page, Section } from "../components/page.tsx";
import { GuestNote } from "../components/sign_in.tsx";
import { useToast } from "../components/toast.tsx";
import { byRecency } from "../recent.ts";
import { useTitle } from "../title.ts";
import style from "./home.module.css";

const SHOWN_MAX = 6;

export function HomePage() {
  useTitle("Everfold");
  const { data: me } = useQuery(queries.me);
  const { data: hooks } = useQuery(queries.hooks);
  const isFirstVisit = me?.workflowState === "guest" && hooks?.length === 0;
  return (
    <Page
      title="Functions that are online and never forget"
      about="Everfold gives your code an address, keeps every request that arrives there, and folds them into a state you can read, watch and travel back through."
    >
      {isFirstVisit ? <FirstVisit /> : <Hooks />}
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

function Hooks() {
  const { data: hooks } = useQuery({ ...queries.hooks, refetchInterval: 10_000 });
  const [words, setWords] = useState("");
  const [, go] = useLocation();
  const sought = words.trim();
  const recent = hooks && byRecency(hooks);
  const shown = recent && (sought ? hooksWith(recent, sought) : recent.slice(0, SHOWN_MAX));
  const first = sought ? shown?.[0] : undefined;
  return (
    <>
      <form
        className={style.search}
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          if (first) go(`/hooks/${first.id}`);
        }}
      >
        <Field
          label="Search hooks"
          isLabelUnseen
          type="search"
          placeholder="Search hooks by name or description"
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
      </form>
      <Section
        title="Hooks"
        actions={
          <>
            {hooks && hooks.length > SHOWN_MAX && <Link href="/hooks">All {hooks.length} hooks</Link>}
            {hooks?.length !== 0 && <NewHook />}
          </>
        }
      >
        <Card isFlush>
          {shown?.length === 0 ? (
            <NoHooks sought={sought} onClear={() => setWords("")} />
          ) : (
            <HookList label="Hooks" hooks={shown} />
          )}
        </Card>
        <GuestNote />
      </Section>
    </>
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
