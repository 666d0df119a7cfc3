/** What can be done with a row. */

import { DropdownMenu as Radix } from "radix-ui";
import { useLocation } from "wouter";
import { usePlace } from "../displays/place.tsx";
import style from "./row_menu.module.css";
import type { MenuItem } from "./rows.ts";

export function RowMenu({ items }: { items: MenuItem[] }) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger className={style.trigger} aria-label="Options">
        <span aria-hidden="true">⋯</span>
      </Radix.Trigger>
      <Radix.Content className={style.menu} align="end" collisionPadding={8} aria-label="Options">
        {items.map((item, place) => (
          <Item key={place} item={item} />
        ))}
      </Radix.Content>
    </Radix.Root>
  );
}

function Item({ item }: { item: MenuItem }) {
  const [, go] = useLocation();
  const place = usePlace(item);
  return (
    <Radix.Item
      className={`${style.item} ${item.theme === "danger" ? style.danger : ""}`}
      disabled={item.disabled || !place}
      onSelect={() => {
        if (!place) return;
        if (place.isElsewhere) open(place.href, "_blank", "noopener,noreferrer");
        else go(place.href);
      }}
    >
      {item.label}
    </Radix.Item>
  );
}
