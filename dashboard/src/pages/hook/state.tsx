/** The state: whole and live, as a number over time, and as `query` answers with it. */

import { useQuery } from "@tanstack/react-query";
import { lazy, memo, Suspense, useMemo, useState } from "react";
import * as queries from "../../api/queries.ts";
import type { Hook, Json } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Copyable } from "../../components/copy.tsx";
import { Empty } from "../../components/empty.tsx";
import { Field } from "../../components/field.tsx";
import { numericPointers } from "../../components/json.ts";
import { LiveValue, Still } from "../../components/live_value.tsx";
import { count } from "../../components/time.tsx";
import style from "./state.module.css";
import { type Moment, TimeSlider } from "./time.tsx";

const Chart = lazy(() => import("../../components/chart.tsx"));

/** What a state looks like wherever it stands on this page. */
export const StateRegion = memo(({ moment, isSearchable = false }: { moment: Moment; isSearchable?: boolean }) => {
  const { seq, isLive, state } = moment;
  return (
    <section className={style.region} aria-label="State">
      <header>
        <h2>State</h2>
        <span className={style.when}>{seq === 0 ? "before the first request" : `after request ${count(seq)}`}</span>
        {!isLive && <span className={style.past}>the past</span>}
      </header>
      {state === null && seq === 0 ? (
        <p className={style.nothing}>null: the reducer has seen no request yet.</p>
      ) : (
        <LiveValue label="State" value={state} isSearchable={isSearchable} />
      )}
    </section>
  );
});

export function State({ hook, moment }: { hook: Hook; moment: Moment }) {
  return (
    <div className={style.tab}>
      <TimeSlider hook={hook} moment={moment} />
      <StateRegion moment={moment} isSearchable />
      <OverTime hook={hook} state={moment.state} />
      <Answer hook={hook} seq={moment.seq} isLive={moment.isLive} />
    </div>
  );
}

/** A number of the state over the whole log. */
function OverTime({ hook, state }: { hook: Hook; state: Json }) {
  const pointers = useMemo(() => numericPointers(state), [state]);
  const [chosen, setChosen] = useState<string>();
  const path = chosen !== undefined && pointers.includes(chosen) ? chosen : pointers[0];
  const { data: points } = useQuery({ ...queries.series(hook.id, path ?? ""), enabled: path !== undefined });
  return (
    <section className={style.section} aria-labelledby="over-time">
      <header>
        <h2 id="over-time">Over time</h2>
        {path !== undefined && (
          <Field
            label="Path"
            isLabelUnseen
            as="select"
            value={path}
            onChange={(event) => setChosen(event.target.value)}
          >
            {pointers.map((pointer) => (
              <option key={pointer} value={pointer}>
                {pointer || "(whole state)"}
              </option>
            ))}
          </Field>
        )}
      </header>
      {path === undefined ? (
        <Empty title="No numbers in this state">A number anywhere in the state can be drawn over the whole log.</Empty>
      ) : (
        <div className={style.chart}>
          <Suspense>{points && points.length > 0 && <Chart label={path || "state"} points={points} />}</Suspense>
        </div>
      )}
    </section>
  );
}

/** What readers are given. */
function Answer({ hook, seq, isLive }: { hook: Hook; seq: number; isLive: boolean }) {
  const [params, setParams] = useState("");
  const [asked, setAsked] = useState("");
  const key = hook.readKeys[0];
  const at = isLive || seq === 0 ? "" : `at=${seq}`;
  const search = [asked, at].filter(Boolean).join("&");
  const path = `/read/${key}${search && `?${search}`}`;
  const { data: answer } = useQuery({
    queryKey: ["hook", hook.id, "answer", path, seq, hook.published?.version],
    queryFn: () => ask(path),
    enabled: key !== undefined,
    placeholderData: (before) => before,
  });
  if (key === undefined) return null;
  return (
    <section className={style.section} aria-labelledby="answer">
      <header>
        <h2 id="answer">What readers get</h2>
      </header>
      <form
        className={style.ask}
        onSubmit={(event) => {
          event.preventDefault();
          setAsked(params.replace(/^\?/, ""));
        }}
      >
        <Field
          label="Parameters"
          isLabelUnseen
          placeholder="name=tea&limit=3"
          value={params}
          onChange={(event) => setParams(event.target.value)}
        />
        <Button type="submit">Ask query</Button>
      </form>
      <Copyable text={location.origin + path} label="Copy the address to read" />
      {answer && (
        <>
          <p className={style.when}>
            {answer.status} {answer.kind}
          </p>
          {answer.json === undefined ? (
            <pre className={style.text}>{answer.text}</pre>
          ) : (
            <Still label="Answer" value={answer.json} root="answer" />
          )}
        </>
      )}
    </section>
  );
}

interface Answered {
  status: number;
  kind: string;
  text: string;
  json: Json | undefined;
}

async function ask(path: string): Promise<Answered> {
  const response = await fetch(path, { headers: { accept: "application/json" }, credentials: "omit" });
  const text = await response.text();
  const kind = response.headers.get("content-type") ?? "";
  let json: Json | undefined;
  try {
    json = JSON.parse(text) as Json;
  } catch {
    // What is not JSON is shown as text.
  }
  return { status: response.status, kind, text, json };
}
