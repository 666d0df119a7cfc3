/** How far the log is folded anew, and the way to give it up. Nothing while nothing is replayed. */

import { useQuery } from "@tanstack/react-query";
import { useRef } from "react";
import * as queries from "../api/queries.ts";
import type { Replay } from "../api/types.ts";
import { useFocusKept } from "../focus.ts";
import { Button } from "./button.tsx";
import style from "./replay_bar.module.css";
import { count } from "./time.tsx";
import { useToast } from "./toast.tsx";

/** The server tells by itself how far it is; this is for when that line is down. */
const ASK_MS = 1_000;
/** The first few pay for the start: a speed taken from them would promise hours. */
const SPEED_FROM = 100;

export function ReplayBar({ id }: { id: string }) {
  const { data: replay } = useQuery({
    ...queries.replay(id),
    refetchInterval: ({ state }) => (state.data?.status === "running" ? ASK_MS : false),
  });
  return replay?.status === "running" ? <Running id={id} replay={replay} /> : null;
}

function Running({ id, replay }: { id: string; replay: Replay }) {
  const toast = useToast();
  const cancel = queries.useChange(() => queries.cancelReplay(id), [["hook", id]]);
  // It ends by itself, perhaps while somebody's Tab has come to *Cancel*.
  const bar = useRef<HTMLDivElement>(null);
  useFocusKept(bar);
  const words = wordsOf(replay);
  return (
    <div ref={bar} className={style.replay}>
      <div
        role="progressbar"
        className={style.bar}
        aria-label="Folding the log anew"
        aria-valuemin={0}
        aria-valuenow={replay.done}
        aria-valuemax={replay.total}
        aria-valuetext={words}
      >
        <div style={{ transform: `scaleX(${replay.done / Math.max(replay.total, 1)})` }} />
      </div>
      <span className={style.words}>{words}</span>
      <Button
        isBusy={cancel.isPending}
        onClick={() =>
          cancel
            .mutateAsync(undefined)
            .then(() => toast.done("Cancelled. What was published stays published."), toast.failed)
        }
      >
        Cancel
      </Button>
    </div>
  );
}

function wordsOf({ done, total, perSecond, etaSeconds }: Replay): string {
  const words = [`${count(done)} of ${count(total)}`];
  if (done >= SPEED_FROM && perSecond >= 1) {
    words.push(`${count(rounded(perSecond))}/s`);
    if (etaSeconds !== null) words.push(`${left(etaSeconds)} left`);
  }
  return words.join(" · ");
}

/** Two digits say enough, and do not flicker. */
function rounded(rate: number): number {
  return Number(rate.toPrecision(2));
}

function left(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.ceil(whole / 60)} min`;
  return `${Math.ceil(whole / 3600)} h`;
}
