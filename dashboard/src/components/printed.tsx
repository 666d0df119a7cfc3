/** What a program printed: text, always, in the colours that it asked for. */

import Anser from "anser";
import { useEffect, useMemo, useRef } from "react";
import style from "./printed.module.css";

/** Of a longer text the end is drawn. */
const LINES_SHOWN = 1_000;
/** As near to the end it is followed. */
const END_PX = 20;
const ESC = "\u001b";
/** What names a terminal's window or moves its cursor, and is no colour; and control characters that stand alone. */
const NO_COLOUR = new RegExp(
  [
    `${ESC}\\][^\\p{Cc}]*(?:${ESC}\\\\|\\p{Cc})?`,
    `${ESC}\\[[0-9;?]*[A-Za-ln-z]`,
    `${ESC}[=>()][0-9AB]?`,
    `[^\\P{Cc}\\t\\n\\r${ESC}]`,
  ].join("|"),
  "gu",
);

interface Props {
  label: string;
  text: string;
  /** It was an error: all of it, whatever its colours. */
  isBad?: boolean;
}

export function Printed({ label, text, isBad = false }: Props) {
  const box = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);
  const { parts, left } = useMemo(() => partsOf(text), [text]);
  useEffect(() => {
    if (isAtEnd.current && parts.length > 0) box.current?.scrollTo({ top: box.current.scrollHeight });
  }, [parts]);
  return (
    <pre
      ref={box}
      className={isBad ? `${style.printed} ${style.bad}` : style.printed}
      tabIndex={0}
      role="group"
      aria-label={label}
      onScroll={({ currentTarget: { scrollTop, clientHeight, scrollHeight } }) => {
        isAtEnd.current = scrollTop + clientHeight > scrollHeight - END_PX;
      }}
    >
      {left > 0 && <span className={style.left}>{`${left} earlier lines are not shown.\n`}</span>}
      {parts.map(({ words, classes }, index) =>
        classes ? (
          <span key={index} className={classes}>
            {words}
          </span>
        ) : (
          words
        ),
      )}
    </pre>
  );
}

interface Part {
  words: string;
  classes: string | undefined;
}

function partsOf(text: string): { parts: Part[]; left: number } {
  const lines = text.replace(NO_COLOUR, "").replace(/\r+\n/g, "\n").split("\n").map(overwritten);
  if (lines.at(-1) === "") lines.pop();
  const left = Math.max(0, lines.length - LINES_SHOWN);
  const shown = lines.slice(left).join("\n");
  const parts = Anser.ansiToJson(shown, { json: true, use_classes: true, remove_empty: true }).map(
    ({ content, fg, decorations }): Part => {
      const names = [fg?.replace("ansi-", "").replace("bright-", ""), ...decorations];
      const classes = names.flatMap((name) => style[name] ?? []).join(" ");
      return { words: content, classes: classes || undefined };
    },
  );
  return { parts, left };
}

/** A line that begins anew has what it had last. */
const overwritten = (line: string) => line.replace(/\r+$/, "").split("\r").at(-1) ?? "";
