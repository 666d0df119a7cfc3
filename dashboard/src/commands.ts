/** What can be done on the page that is shown: pages leave it here, and the command bar finds it. */

import { useEffect, useRef, useSyncExternalStore } from "react";

export interface Command {
  name: string;
  run: () => void;
  /** The keys that do it without the bar, for people to learn. The page itself listens to them. */
  keys?: string;
}

const pages = new Map<object, readonly Command[]>();
const listeners = new Set<() => void>();
let all: readonly Command[] = [];

function leave(page: object, commands: readonly Command[] | undefined) {
  if (commands) pages.set(page, commands);
  else pages.delete(page);
  all = [...pages.values()].flat();
  for (const listener of listeners) listener();
}

/** As long as the page is shown, these can be run. */
export function useCommands(commands: readonly Command[]) {
  const latest = useRef(commands);
  useEffect(() => {
    latest.current = commands;
  });
  // Functions are new with each drawing: only other words are other commands.
  const words = JSON.stringify(commands.map(({ name, keys }) => ({ name, keys })));
  useEffect(() => {
    const page = {};
    const named: Omit<Command, "run">[] = JSON.parse(words);
    leave(
      page,
      named.map((command, index) => ({ ...command, run: () => latest.current[index]?.run() })),
    );
    return () => leave(page, undefined);
  }, [words]);
}

export function useLeftCommands(): readonly Command[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => all,
  );
}
