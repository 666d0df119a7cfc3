/** The tab Console: what the code said, newest first. */

import { type QueryClient, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import * as queries from "../../api/queries.ts";
import type { ConsoleEntry, ConsoleLine, Hook } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { LEVELS, Level } from "../../components/console_lines.tsx";
import { Empty } from "../../components/empty.tsx";
import { Field } from "../../components/field.tsx";
import { clockOf, count, dayOf, Time } from "../../components/time.tsx";
import style from "./console.module.css";

export function Console({ hook }: { hook: Hook }) {
  const { lines, isHeld, isLoading, hasOlder, isFetchingOlder, older, newest } = useLines(hook.id);
  const [level, setLevel] = useState<ConsoleLine["level"] | "">("");
  const [words, setWords] = useState("");
  const sought = words.trim();
  const found = lines.filter((line) => (level === "" || line.level === level) && says(line, sought.toLowerCase()));

  if (!isLoading && lines.length === 0) {
    return (
      <Empty title="The code has said nothing yet">
        Write <code>console.log(request.body)</code> in a function, publish it and send a request: what it says stands
        here, each line beside its request.
      </Empty>
    );
  }
  return (
    <div className={style.console}>
      <search className={style.filter}>
        <Field
          label="Search in console"
          isLabelUnseen
          type="search"
          placeholder="Search words"
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
        <Field
          as="select"
          label="Level"
          isLabelUnseen
          value={level}
          onChange={(event) => setLevel(event.target.value as ConsoleLine["level"] | "")}
        >
          <option value="">All levels</option>
          {Object.keys(LEVELS).map((level) => (
            <option key={level}>{level}</option>
          ))}
        </Field>
      </search>
      <div className={style.scroller} tabIndex={0} role="group" aria-label="Console" aria-busy={isLoading}>
        {isHeld && (
          <p className={style.held}>
            New lines wait while you read older ones.
            <Button icon="upload" onClick={newest}>
              Newest
            </Button>
          </p>
        )}
        <ol aria-label="Lines, newest first">
          {keyed(found).map(({ key, ...entry }) => (
            <Entry key={key} {...entry} />
          ))}
        </ol>
        {!isLoading && found.length === 0 && (
          <Empty title={`No records found matching '${[level, sought].filter(Boolean).join(" ")}'`}>
            {hasOlder
              ? `${count(lines.length)} lines were looked through; there are older ones.`
              : "Every line that is kept was looked through."}
          </Empty>
        )}
        {hasOlder && (
          <div className={style.older}>
            <Button icon="down" isBusy={isFetchingOlder} onClick={older}>
              Older
            </Button>
          </div>
        )}
      </div>
    </div>
  );
}

/** What is loaded follows the hook, until somebody goes back: then it stands still, as what is read must not move. */
function useLines(id: string) {
  const cache = useQueryClient();
  const [isHeld, setHeld] = useState(false);
  const lines = useInfiniteQuery({ ...queries.consoleLines(id), enabled: !isHeld });
  useEffect(() => () => forgetOlder(cache, id), [cache, id]);
  return {
    lines: lines.data?.pages.flatMap(({ objects }) => objects) ?? [],
    isHeld,
    isLoading: lines.isLoading,
    hasOlder: lines.hasNextPage,
    isFetchingOlder: lines.isFetchingNextPage,
    older: () => {
      setHeld(true);
      void lines.fetchNextPage();
    },
    newest: () => {
      setHeld(false);
      forgetOlder(cache, id);
      void lines.refetch();
    },
  };
}

function forgetOlder(cache: QueryClient, id: string) {
  const first = <T,>(all: T[]) => all.slice(0, 1);
  cache.setQueryData(
    queries.consoleLines(id).queryKey,
    (known) => known && { pages: first(known.pages), pageParams: first(known.pageParams) },
  );
}

interface EntryProps {
  line: ConsoleEntry;
  /** The line above it, which is younger. */
  above: ConsoleEntry | undefined;
}

function Entry({ line, above }: EntryProps) {
  const { level, messages, timestamp, seq } = line;
  const isNewDay = !above || dayOf(above.timestamp) !== dayOf(timestamp);
  return (
    <>
      {isNewDay && <li className={style.day}>{dayOf(timestamp)}</li>}
      <li className={`${style.line} ${style[level]}`}>
        <span className={style.time}>
          <Time at={timestamp} as={clockOf} />
        </span>
        <Level level={level} />
        <pre className={style.words}>{messages.join(" ")}</pre>
        <Link href={`?request=${seq}`} className={style.request} aria-label={`Request ${seq}`}>
          #{seq}
        </Link>
      </li>
    </>
  );
}

function says({ messages }: ConsoleLine, words: string): boolean {
  return messages.some((message) => message.toLowerCase().includes(words));
}

/** A request says its lines in order, so that a line is known by its place among them, counted from the last one. */
function keyed(lines: ConsoleEntry[]): { key: string; line: ConsoleEntry; above: ConsoleEntry | undefined }[] {
  let place = 0;
  return lines.map((line, index) => {
    const above = lines[index - 1];
    place = above?.seq === line.seq ? place + 1 : 0;
    return { key: `${line.seq}.${place}`, line, above };
  });
}
