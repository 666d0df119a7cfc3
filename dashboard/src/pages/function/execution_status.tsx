/** How an execution stands, and how long it took: in a list, a sheet, and beside what was sent. */

import type { ExecutionBrief, ExecutionStatus } from "../../api/types.ts";
import type { IconName } from "../../components/icon.tsx";
import { Sign, type Tone } from "../../components/status.tsx";
import { milliseconds } from "../../components/units.ts";
import style from "./execution.module.css";

const SHOWN: Record<ExecutionStatus, { icon: IconName; tone: Tone; why: string }> = {
  waiting: { icon: "clock", tone: "plain", why: "It waits for its time, or for room." },
  processing: { icon: "play", tone: "warn", why: "The function is at work." },
  completed: { icon: "check", tone: "ok", why: "The function answered." },
  failed: { icon: "cross", tone: "bad", why: "The function did not answer." },
};

const SERVER_ERROR = 500;
const CLIENT_ERROR = 400;

/** Nothing is well where the answer says that it is not. */
export function ExecutionState({ of: { status, statusCode } }: { of: ExecutionBrief }) {
  const { icon, tone, why } = SHOWN[status];
  const isBad = statusCode !== null && statusCode >= SERVER_ERROR;
  return (
    <Sign icon={icon} tone={isBad && tone === "ok" ? "plain" : tone} why={why}>
      {status}
    </Sign>
  );
}

/** As the function answered. */
export function StatusCode({ of: { statusCode } }: { of: ExecutionBrief }) {
  if (statusCode === null) return <span className={style.soft}>–</span>;
  const tone = statusCode >= SERVER_ERROR ? style.bad : statusCode >= CLIENT_ERROR ? style.warn : undefined;
  return <span className={[style.number, tone].filter(Boolean).join(" ")}>{statusCode}</span>;
}

export const tookOf = ({ durationMs }: ExecutionBrief) => (durationMs === null ? "–" : milliseconds(durationMs));

/** Whether an instance was there already, or had to be started. */
export const startOf = ({ coldStart }: ExecutionBrief) => (coldStart === null ? "–" : coldStart ? "cold" : "warm");
