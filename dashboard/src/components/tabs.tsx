/** Tabs: one of several panels, reachable by arrow keys. */

import { Tabs as Radix } from "radix-ui";
import type { ReactNode } from "react";
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
