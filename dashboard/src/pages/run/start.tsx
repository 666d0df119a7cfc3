/** Starts a run, and becomes its page. */

import { useEffect, useState } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { Problem } from "../../api/http.ts";
import { type Started, startRun } from "../../api/runs.ts";
import { Button } from "../../components/button.tsx";
import { Empty } from "../../components/empty.tsx";
import { Page } from "../../components/page.tsx";
import { useTitle } from "../../title.ts";
import style from "./run.module.css";
import { startedHere } from "./started.ts";

/** A page is drawn more than once, and starts one run. */
const starting = new Map<string, Promise<Started>>();

function start(slug: string, search: string): Promise<Started> {
  const address = `${slug}?${search}`;
  const before = starting.get(address);
  if (before) return before;
  const begun = startRun(slug, Object.fromEntries(new URLSearchParams(search)));
  starting.set(address, begun);
  const forget = () => setTimeout(() => starting.delete(address));
  begun.then(forget, forget);
  return begun;
}

export default function StartPage({ slug }: { slug: string }) {
  useTitle(slug);
  const search = useSearch();
  const [, go] = useLocation();
  const [error, setError] = useState<Error>();
  const [turn, setTurn] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another turn is another try.
  useEffect(() => {
    let isGone = false;
    setError(undefined);
    start(slug, search).then(
      ({ id }) => {
        startedHere(id);
        if (!isGone) go(`/r/${id}`, { replace: true });
      },
      (error: Error) => {
        if (!isGone) setError(error);
      },
    );
    return () => {
      isGone = true;
    };
  }, [slug, search, go, turn]);
  if (!error) {
    return (
      <div className={style.page} role="status">
        <p className={style.starting}>Starting…</p>
      </div>
    );
  }
  if (error instanceof Problem && error.code === "action_unknown") return <Unknown slug={slug} />;
  return (
    <Page title={slug} isNarrow>
      <Empty title="This action did not start">
        <p>{[error.message, error instanceof Problem && error.hint].filter(Boolean).join(" ")}</p>
        <Button kind="main" onClick={() => setTurn(turn + 1)}>
          Try again
        </Button>
      </Empty>
    </Page>
  );
}

/** Its hook may have been published without it, or its program never have been here. */
function Unknown({ slug }: { slug: string }) {
  return (
    <Page title="Not found" isNarrow about={`There is no action ‘${slug}’.`}>
      <p>
        Those of published hooks, and of the programs that are connected, stand on the <Link href="/">home page</Link>.
      </p>
    </Page>
  );
}
