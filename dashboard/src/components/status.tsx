/** What became of a request: a drawing and a word, never a colour alone. */

import type { ReactNode } from "react";
import type { Status as Name } from "../api/types.ts";
import { Icon, type IconName } from "./icon.tsx";
import style from "./status.module.css";

export type Tone = "ok" | "warn" | "bad" | "plain";

const SHOWN: Record<Name | "error", { icon: IconName; tone: Tone; why: string }> = {
  folded: { icon: "check", tone: "ok", why: "The reducer saw it." },
  error: { icon: "warning", tone: "bad", why: "The reducer threw: the state is as it was before." },
  failed: { icon: "cross", tone: "bad", why: "The responder threw: it was kept, and is never folded." },
  ignored: { icon: "skip", tone: "warn", why: "The responder answered above 399: it was kept, and is never folded." },
  duplicate: { icon: "twin", tone: "plain", why: "An earlier request has the same idempotency key." },
  pending: { icon: "clock", tone: "plain", why: "It is kept, and will be folded." },
};

export function Status({ status, hasError }: { status: Name; hasError: boolean }) {
  const name = status === "folded" && hasError ? "error" : status;
  return <Sign {...SHOWN[name]}>{name}</Sign>;
}

/** Anything else that is said with a drawing and a word. */
export function Sign({ icon, tone, why, children }: { icon: IconName; tone: Tone; why?: string; children: ReactNode }) {
  return (
    <span className={`${style.status} ${style[tone]}`} title={why}>
      <Icon name={icon} /> {children}
    </span>
  );
}
