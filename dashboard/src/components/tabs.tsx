/** Tabs: one of several panels, reachable by arrow keys. */

import { Tabs as Radix } from "radix-ui";
import type { ReactNode } from "react";
import style from "./tabs.module.css";

interface Props<Name extends string> {
  label: string;
  shown: Name;
  onShow: (name: Name) => void;
  tabs: readonly { name: Name; panel: ReactNode }[];
}

export function Tabs<Name extends string>({ label, shown, onShow, tabs }: Props<Name>) {
  return (
    <Radix.Root className={style.tabs} value={shown} onValueChange={(name) => onShow(name as Name)}>
      <Radix.List className={style.list} aria-label={label}>
        {tabs.map(({ name }) => (
          <Radix.Trigger key={name} value={name} className={style.tab}>
            {name}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {tabs.map(({ name, panel }) => (
        <Radix.Content key={name} value={name} className={style.panel} tabIndex={-1}>
          {name === shown && panel}
        </Radix.Content>
      ))}
    </Radix.Root>
  );
}
