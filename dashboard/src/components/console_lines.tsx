/** What the code wrote: each line with its level, as a drawing and a word. Text, always. */

import type { ConsoleLine } from "../api/types.ts";
import style from "./console_lines.module.css";
import { Icon, type IconName } from "./icon.tsx";

/** The gravest first. */
export const LEVELS: Record<ConsoleLine["level"], IconName> = {
  error: "cross",
  warn: "warning",
  info: "info",
  log: "right",
  debug: "gear",
  trace: "minus",
};

export function Level({ level }: { level: ConsoleLine["level"] }) {
  return (
    <span className={`${style.level} ${style[level] ?? ""}`}>
      <Icon name={LEVELS[level]} /> {level}
    </span>
  );
}

export function ConsoleLines({ lines }: { lines: ConsoleLine[] }) {
  return (
    <ul className={style.lines}>
      {lines.map(({ level, messages }, index) => (
        <li key={index}>
          <Level level={level} />
          <pre>{messages.join(" ")}</pre>
        </li>
      ))}
    </ul>
  );
}
