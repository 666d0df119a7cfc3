/** What an action wrote while it ran, behind a button: text, always. */

import { useEffect, useId, useRef, useState } from "react";
import type { LogLine } from "../api/types.ts";
import { CopyButton } from "../components/copy.tsx";
import { Icon } from "../components/icon.tsx";
import { clockOf, Time } from "../components/time.tsx";
import style from "./logs.module.css";

const LINES_SHOWN = 1_000;

export function Logs({ logs, isOver }: { logs: LogLine[]; isOver: boolean }) {
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  const list = useRef<HTMLOListElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    if (isAtEnd.current && logs.length > 0) list.current?.scrollTo({ top: list.current.scrollHeight });
  }, [logs]);
  const left = Math.max(0, logs.length - LINES_SHOWN);
  return (
    <div>
      <div className={style.head}>
        <button
          type="button"
          className={style.toggle}
          aria-expanded={isOpen}
          aria-controls={id}
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name={isOpen ? "down" : "right"} /> Logs
        </button>
        <span className={style.count}>{logs.length > 0 ? logs.length : isOver ? "none" : "none yet"}</span>
        {isOpen && logs.length > 0 && (
          <CopyButton text={logs.map(({ text }) => text).join("\n")} label="Copy the log" />
        )}
      </div>
      <div id={id} hidden={!isOpen}>
        {isOpen && logs.length > 0 && (
          <ol
            ref={list}
            className={style.lines}
            tabIndex={0}
            aria-label="Log lines"
            onScroll={({ currentTarget: { scrollTop, clientHeight, scrollHeight } }) => {
              isAtEnd.current = scrollTop + clientHeight > scrollHeight - 20;
            }}
          >
            {left > 0 && <li className={style.left}>{left} earlier lines are not shown. Copy takes them along.</li>}
            {logs.slice(left).map(({ index, text, level, at }) => (
              <li key={index} className={level === "error" || level === "warn" ? style[level] : undefined}>
                <Time at={at} as={clockOf} />
                <pre>{level && level !== "info" && level !== "log" ? `${level}: ${text}` : text}</pre>
              </li>
            ))}
          </ol>
        )}
      </div>
    </div>
  );
}
