/** Actions as people find them: those that stand alone, then page by page. */

import { Fragment } from "react";
import { Link } from "wouter";
import { pathOf } from "../api/actions.ts";
import type { Action } from "../api/types.ts";
import style from "./action_list.module.css";
import { ScheduleButton } from "./schedule_dialog.tsx";
import { Sign } from "./status.tsx";

export interface Group {
  slug: string;
  name: string;
  description: string | null;
  actions: Action[];
}

/** What is shown where nobody asked for it by name. */
export function listed(actions: readonly Action[]): Action[] {
  const unseen = actions.filter(({ unlisted }) => unlisted).map(({ slug }) => slug);
  return actions.filter(({ slug }) => !unseen.some((page) => slug === page || slug.startsWith(`${page}/`)));
}

/** Those with a slash belong to what stands before it, which may be a page with words of its own. */
export function grouped(actions: readonly Action[]): { alone: Action[]; groups: Group[] } {
  const alone: Action[] = [];
  const groups = new Map<string, Group>();
  const groupOf = (slug: string) => {
    const known = groups.get(slug);
    if (known) return known;
    const made: Group = { slug, name: slug, description: null, actions: [] };
    groups.set(slug, made);
    return made;
  };
  for (const action of actions) {
    const [first = "", ...rest] = action.slug.split("/");
    if (rest.length > 0) groupOf(first).actions.push(action);
    else if (action.isPage) Object.assign(groupOf(first), { name: action.name, description: action.description });
    else alone.push(action);
  }
  return { alone, groups: [...groups.values()] };
}

export function ActionList({ actions }: { actions: readonly Action[] }) {
  const { alone, groups } = grouped(actions);
  return (
    <div className={style.all}>
      {alone.length > 0 && <Actions actions={alone} />}
      {groups.map((group) => (
        <Fragment key={group.slug}>
          <h3 className={style.group}>
            <Link href={`/p/${pathOf(group.slug)}`} data-pw-action-group={group.slug}>
              {group.name}
            </Link>
            {group.description && <span className={style.about}>{group.description}</span>}
          </h3>
          <Actions actions={group.actions} />
        </Fragment>
      ))}
    </div>
  );
}

export function Actions({ actions }: { actions: readonly Action[] }) {
  return (
    <ul className={style.list}>
      {actions.map((action) => (
        <li key={action.slug} className={style.action}>
          <ActionLink action={action} />
          <span className={style.about}>{action.description}</span>
          <Where action={action} />
          {!action.isPage && (
            <span className={style.aside}>
              <ScheduleButton slug={action.slug} name={action.name} isQuiet />
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}

/** To what runs it, or to the page it is. The whole line can be pressed. */
export function ActionLink({ action: { slug, name, isPage } }: { action: Action }) {
  const hook = isPage ? { "data-pw-action-group": slug } : { "data-pw-run-slug": slug };
  return (
    <Link href={`/${isPage ? "p" : "a"}/${pathOf(slug)}`} className={style.name} {...hook}>
      {name}
    </Link>
  );
}

const SOURCES: Record<Action["source"], { word: string; why: string }> = {
  hosted: { word: "hosted", why: "Its code is in a hook, and runs on this server." },
  host: { word: "connected", why: "Its code runs in a program of yours that is connected." },
};

/** Where it runs, and whether anybody is there to run it. */
function Where({ action: { source, online } }: { action: Action }) {
  const { word, why } = SOURCES[source];
  return (
    <span className={style.where}>
      {!online && <Offline />}
      <span title={why}>{word}</span>
    </span>
  );
}

export function Offline() {
  return (
    <Sign icon="away" tone="warn" why="The program that runs it is not connected.">
      offline
    </Sign>
  );
}
