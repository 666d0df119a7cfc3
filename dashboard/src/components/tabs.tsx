/** Tabs: one of several panels, reachable by arrow keys. */

import { Tabs as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { useSearchParams } from "wouter";
import style from "./tabs.module.css";

interface Props<Name extends string> {
  label: string;
  shown: Name;
  onShow: (name: Name) => void;
  tabs: readonly { name: Name; panel: ReactNode }[];
  /** What stands before the panels, whichever is shown. */
  beside?: ReactNode;
}

export function Tabs<Name extends string>({ label, shown, onShow, tabs, beside }: Props<Name>) {
  return (
    <Radix.Root className={style.tabs} value={shown} onValueChange={(name) => onShow(name as Name)}>
      <Radix.List className={style.list} aria-label={label}>
        {tabs.map(({ name }) => (
          <Radix.Trigger key={name} value={name} className={style.tab}>
            {name}
          </Radix.Trigger>
        ))}
      </Radix.List>
      <div className={style.body}>
        {beside}
        {tabs.map(({ name, panel }) => (
          <Radix.Content key={name} value={name} className={style.panel} tabIndex={-1}>
            {name === shown && panel}
          </Radix.Content>
        ))}
      </div>
    </Radix.Root>
  );
}

/** The tab is part of the address, so that it can be sent to somebody; the first one needs no word there. */
export function useTab<Name extends string>(names: readonly [Name, ...Name[]]): [Name, (name: Name) => void] {
  const [search, setSearch] = useSearchParams();
  const named = search.get("tab");
  const [first] = names;
  const shown = names.find((name) => name.toLowerCase() === named) ?? first;
  const show = (name: Name) => {
    const wanted = name === first ? null : name.toLowerCase();
    // A press of the mouse is told twice, and would have to be gone back from twice.
    if (new URLSearchParams(location.search).get("tab") === wanted) return;
    setSearch((search) => {
      const next = new URLSearchParams(search);
      if (wanted === null) next.delete("tab");
      else next.set("tab", wanted);
      return next;
    });
  };
  return [shown, show];
}

/** What is opened above a tab is part of the address as well, so that it can be gone back to. */
export function useOpened(what: string): [string | undefined, (id: string | undefined) => void] {
  const [search, setSearch] = useSearchParams();
  const open = (id: string | undefined) =>
    setSearch((search) => {
      const next = new URLSearchParams(search);
      if (id === undefined) next.delete(what);
      else next.set(what, id);
      return next;
    });
  return [search.get(what) ?? undefined, open];
}
