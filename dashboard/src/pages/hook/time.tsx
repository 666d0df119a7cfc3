/** The time slider: any request of the log, and the state behind it. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useSearchParams } from "wouter";
import { head } from "../../api/live.ts";
import * as queries from "../../api/queries.ts";
import type { Hook, Json } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { count, Time, wholeOf } from "../../components/time.tsx";
import style from "./time.module.css";

/** The address is written when the slider rests. */
const REST_MS = 300;

/** Which state is looked at: the newest, as it comes, or one of the past. */
export interface Moment {
  /** The request it stands behind; 0 before the first. */
  seq: number;
  isLive: boolean;
  state: Json;
  /** `undefined` goes back to the newest. */
  go: (seq: number | undefined) => void;
}

export function useMoment(hook: Hook): Moment {
  const [search, setSearch] = useSearchParams();
  const named = Number(search.get("at") ?? Number.NaN);
  const begin = hook.lastSeq - hook.requestCount;
  const inside = Number.isInteger(named) && named > begin && named <= hook.lastSeq;
  const [at, setAt] = useState(inside ? named : undefined);
  useEffect(() => {
    const timer = setTimeout(() => {
      setSearch(
        (search) => {
          const next = new URLSearchParams(search);
          if (at === undefined) next.delete("at");
          else next.set("at", String(at));
          return next.toString() === search.toString() ? search : next;
        },
        { replace: true },
      );
    }, REST_MS);
    return () => clearTimeout(timer);
  }, [at, setSearch]);
  const newest = useQuery(head(hook.id)).data ?? { seq: 0, state: null };
  const past = useQuery({
    ...queries.request(hook.id, at ?? 0),
    enabled: at !== undefined,
    placeholderData: keepPreviousData,
  }).data;
  const go = useCallback((seq: number | undefined) => setAt(seq), []);
  return useMemo(
    () =>
      at === undefined ? { ...newest, isLive: true, go } : { seq: at, isLive: false, state: past?.state ?? null, go },
    [at, newest, past, go],
  );
}

export function TimeSlider({ hook, moment }: { hook: Hook; moment: Moment }) {
  const begin = hook.lastSeq - hook.requestCount;
  const { seq, isLive, go } = moment;
  const { data: request } = useQuery({
    ...queries.request(hook.id, seq),
    enabled: !isLive,
    placeholderData: keepPreviousData,
  });
  if (hook.requestCount === 0) return null;
  const words = isLive ? `now, after request ${seq}` : `after request ${seq}`;
  return (
    <div className={style.slider}>
      <input
        type="range"
        aria-label="Time"
        aria-valuetext={words}
        min={begin + 1}
        max={hook.lastSeq}
        value={isLive ? hook.lastSeq : seq}
        onChange={(event) => {
          const to = Number(event.target.value);
          go(to >= hook.lastSeq ? undefined : to);
        }}
      />
      <output className={style.words}>
        {isLive ? (
          <>now</>
        ) : (
          <>
            #{count(seq)} {request && <Time at={request.createdAt} as={wholeOf} />}
          </>
        )}
      </output>
      {!isLive && <Button onClick={() => go(undefined)}>Back to now</Button>}
    </div>
  );
}
