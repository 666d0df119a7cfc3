/** Moments, as a person says them. */

import { useEffect, useState } from "react";

/** So often "3 minutes ago" is looked at again. */
const TICK_MS = 5_000;

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", year: "numeric" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const distance = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const number = new Intl.NumberFormat();

export const clockOf = (at: number) => clock.format(at);
export const dayOf = (at: number) => day.format(at);
export const wholeOf = (at: number) => whole.format(at);
export const count = (many: number) => number.format(many);

export function ago(at: number, now = Date.now()): string {
  const seconds = Math.round((at - now) / 1000);
  const size = Math.abs(seconds);
  if (size < 5) return "just now";
  if (size < 60) return distance.format(seconds, "second");
  if (size < 3600) return distance.format(Math.round(seconds / 60), "minute");
  if (size < 86_400) return distance.format(Math.round(seconds / 3600), "hour");
  return distance.format(Math.round(seconds / 86_400), "day");
}

export function Time({ at, as = wholeOf }: { at: number; as?: (at: number) => string }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={wholeOf(at)}>
      {as(at)}
    </time>
  );
}

/** "3 minutes ago", and a minute later "4 minutes ago". */
export function Ago({ at }: { at: number }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return <Time at={at} as={ago} />;
}
