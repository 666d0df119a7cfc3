/** What changed between two states: each step with a sign, a word, a path, and the values before and after. */

import type { Json, PatchStep } from "../api/types.ts";
import { Icon, type IconName } from "./icon.tsx";
import { at, brief } from "./json.ts";
import style from "./patch.module.css";

const SHOWN_MAX = 200;

const WORDS: Record<PatchStep["op"], { word: string; icon: IconName; tone: "added" | "removed" | "changed" }> = {
  add: { word: "added", icon: "plus", tone: "added" },
  remove: { word: "removed", icon: "minus", tone: "removed" },
  replace: { word: "changed", icon: "change", tone: "changed" },
  move: { word: "moved", icon: "change", tone: "changed" },
  copy: { word: "copied", icon: "plus", tone: "added" },
  test: { word: "same", icon: "check", tone: "changed" },
};

interface Props {
  label: string;
  patch: PatchStep[];
  /** The state before, where it is at hand. */
  before: Json | undefined;
}

export function Patch({ label, patch, before }: Props) {
  if (patch.length === 0) return <p className={style.none}>The state stayed as it was.</p>;
  return (
    <ul className={style.patch} aria-label={label}>
      {patch.slice(0, SHOWN_MAX).map((step) => {
        const { word, icon, tone } = WORDS[step.op];
        const was = before === undefined ? undefined : at(before, step.path);
        return (
          <li key={`${step.op} ${step.path}`} className={style[tone]}>
            <span className={style.sign}>
              <Icon name={icon} />
              <span className="unseen">{word}</span>
            </span>
            <code className={style.path}>{step.path || "(whole state)"}</code>
            <span className={style.values}>
              {tone !== "added" && was !== undefined && <del>{brief(was)}</del>}
              {step.op !== "remove" && step.value !== undefined && <ins>{brief(step.value)}</ins>}
            </span>
          </li>
        );
      })}
      {patch.length > SHOWN_MAX && <li className={style.none}>and {patch.length - SHOWN_MAX} more</li>}
    </ul>
  );
}
