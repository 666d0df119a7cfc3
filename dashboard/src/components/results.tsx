/** What a search found, the likeliest first: a list of links that arrow keys go through. */

import type { KeyboardEvent } from "react";
import { Link } from "wouter";
import { pathOf } from "../api/actions.ts";
import type { Action, Hook } from "../api/types.ts";
import { sought } from "../sought.ts";
import { Offline } from "./action_list.tsx";
import { Icon } from "./icon.tsx";
import style from "./results.module.css";

const SHOWN_MAX = 50;

export interface Result {
  kind: "action" | "page" | "hook";
  id: string;
  name: string;
  about: string | null;
  href: string;
  action?: Action;
}

/** Actions before pages before hooks, where one is as likely as the other. */
export function resultsOf(words: string, actions: readonly Action[], hooks: readonly Hook[]): Result[] {
  const all: Result[] = [
    ...actions.map((action): Result => {
      const { slug, name, description, isPage } = action;
      const shared = { id: slug, name, about: description, action };
      return isPage
        ? { ...shared, kind: "page", href: `/p/${pathOf(slug)}` }
        : { ...shared, kind: "action", href: `/a/${pathOf(slug)}` };
    }),
    ...hooks.map(({ id, name, description }): Result => {
      return { kind: "hook", id, name, about: description, href: `/hooks/${id}` };
    }),
  ];
  const order = ["action", "page", "hook"];
  all.sort((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind));
  const found = sought(all, words, ({ name, about, id, kind }) => ({
    name,
    more: kind === "hook" ? (about ?? "") : `${id} ${about ?? ""}`,
  }));
  return found.slice(0, SHOWN_MAX);
}

export function Results({ results }: { results: readonly Result[] }) {
  return (
    <ul className={style.results} aria-label="Results" onKeyDown={onKey}>
      {results.map(({ kind, id, name, about, href, action }) => (
        <li key={`${kind} ${id}`}>
          <Link
            href={href}
            className={style.result}
            data-pw-search-result={id}
            data-pw-run-slug={kind === "action" ? id : undefined}
            data-pw-action-group={kind === "page" ? id : undefined}
          >
            <Icon name={kind === "hook" ? "hook" : kind === "page" ? "right" : "play"} />
            <span className={style.name}>{name}</span>
            <span className={style.about}>{about}</span>
            {action?.online === false && <Offline />}
            <span className={style.kind}>{kind}</span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

/** From one to the next, and from the first back to where one types. */
function onKey(event: KeyboardEvent<HTMLElement>) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step === undefined) return;
  const links = [...event.currentTarget.querySelectorAll("a")];
  const here = links.indexOf(document.activeElement as HTMLAnchorElement);
  const next = links[here + step];
  if (next) next.focus();
  else if (step < 0) event.currentTarget.closest("main")?.querySelector<HTMLElement>("input[type=search]")?.focus();
  event.preventDefault();
}
