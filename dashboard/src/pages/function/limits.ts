/** What a function may use: each limit as a person says it, in a unit of its own. */

import type { Limits } from "../../api/types.ts";

export interface Limit {
  name: keyof Limits;
  label: string;
  unit: string;
  /** So many of the API's units are one of these. */
  scale: number;
  /** In these units; as `rules/src/function` has them. */
  min: number;
  max: number;
  hint: string;
}

const MIB = 1 << 20;

export const LIMITS: { title: string; limits: Limit[] }[] = [
  {
    title: "Each request",
    limits: [
      {
        name: "timeoutMs",
        label: "Time",
        unit: "seconds",
        scale: 1_000,
        min: 0.001,
        max: 900,
        hint: "Then it is stopped, and its instance is replaced.",
      },
      {
        name: "requestBytes",
        label: "Request size",
        unit: "MiB",
        scale: MIB,
        min: 1 / MIB,
        max: 20,
        hint: "A larger one is refused.",
      },
      {
        name: "responseBytes",
        label: "Response size",
        unit: "MiB",
        scale: MIB,
        min: 1 / MIB,
        max: 100,
        hint: "A larger one is cut.",
      },
      {
        name: "queueWaitMs",
        label: "Wait for room",
        unit: "seconds",
        scale: 1_000,
        min: 0,
        max: 60,
        hint: "Longer than this nobody waits for an instance.",
      },
    ],
  },
  {
    title: "Each instance",
    limits: [
      { name: "memoryMb", label: "Memory", unit: "MB", scale: 1, min: 16, max: 4_096, hint: "More ends it." },
      {
        name: "cpuSeconds",
        label: "CPU time",
        unit: "seconds",
        scale: 1,
        min: 1,
        max: 900,
        hint: "As long as it computes.",
      },
      {
        name: "processes",
        label: "Processes",
        unit: "at once",
        scale: 1,
        min: 1,
        max: 1_024,
        hint: "With their threads.",
      },
      { name: "tmpMb", label: "/tmp", unit: "MB", scale: 1, min: 1, max: 1_024, hint: "Gone with the instance." },
      {
        name: "concurrency",
        label: "Concurrency",
        unit: "requests",
        scale: 1,
        min: 1,
        max: 1_000,
        hint: "It is given so many at a time.",
      },
    ],
  },
  {
    title: "Instances",
    limits: [
      {
        name: "minInstances",
        label: "At least",
        unit: "instances",
        scale: 1,
        min: 0,
        max: 8,
        hint: "Stay warm when nobody asks.",
      },
      {
        name: "maxInstances",
        label: "At most",
        unit: "instances",
        scale: 1,
        min: 1,
        max: 32,
        hint: "Are started under load.",
      },
    ],
  },
];

const DIGITS_MAX = 6;

export const shownOf = ({ scale }: Limit, value: number) => String(Number((value / scale).toPrecision(DIGITS_MAX)));

/** As the API counts it; nothing where it is no such number. */
export function countOf({ scale, min, max }: Limit, typed: string): number | undefined {
  const value = typed.trim() === "" ? Number.NaN : Number(typed);
  return value >= min && value <= max && (scale > 1 || Number.isInteger(value)) ? Math.round(value * scale) : undefined;
}

/** What is asked for where it is not given. */
export const boundsOf = ({ min, max, unit, scale }: Limit) =>
  `between ${min < 0.001 ? "one byte" : min} and ${max.toLocaleString()}${scale === 1 ? "" : ` ${unit}`}`;
