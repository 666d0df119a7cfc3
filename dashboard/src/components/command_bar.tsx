/** Type, Enter: the way to everything without a mouse. */

import { useQuery } from "@tanstack/react-query";
import { Command as Bar, defaultFilter } from "cmdk";
import { useLayoutEffect, useMemo, useRef, useState } from "react";
import { useLocation, useRoute } from "wouter";
import { actions, pathOf, recentRuns } from "../api/actions.ts";
import { functions } from "../api/functions.ts";
import * as queries from "../api/queries.ts";
import type { Hook } from "../api/types.ts";
import { type Command, useLeftCommands } from "../commands.ts";
import { byRecency } from "../recent.ts";
import { setTheme, THEMES } from "../theme.ts";
import { listed } from "./action_list.tsx";
import style from "./command_bar.module.css";
import { Icon, type IconName } from "./icon.tsx";
import { useNewHook } from "./new_hook.tsx";
import { useSignIn } from "./sign_in.tsx";

const TABS = ["Requests", "State", "Versions", "Console", "Keys", "Secrets", "Settings"];
const SHOWN_MAX = 50;
/** Hooks that are offered before anything is typed. */
const HOOKS_OFFERED = 5;
/** Actions, and runs, that are offered before anything is typed. */
const ACTIONS_OFFERED = 5;
const RUNS_OFFERED = 3;
const FUNCTIONS_OFFERED = 3;
/** Hooks whose tabs can be found: those used last. */
const HOOKS_WITH_TABS = 100;
/** A likeness below this is chance. */
const LIKENESS_MIN = 0.02;

interface Offer extends Command {
  group: "On this page" | "Actions" | "Runs" | "Hooks" | "Functions" | "Do" | "Go to" | "Theme";
  icon: IconName;
  /** What it is called without the word of what is done to it. */
  noun?: string;
  /** Other words for it. */
  words?: string[];
  /** Found by its words, not offered before. */
  isHidden?: boolean;
}

export function CommandBar({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  return isOpen ? <Open onClose={onClose} /> : null;
}

function Open({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    shown?.querySelector("input")?.focus();
    return () => shown?.close();
  }, []);
  const [words, setWords] = useState("");
  const [chosen, setChosen] = useState("");
  const offers = useOffers();
  const found = useMemo(() => matching(offers, words.trim()), [offers, words]);
  const groups = [...new Set(found.map(({ group }) => group))];
  const first = found[0];
  const isChosenThere = found.some((offer) => idOf(offer) === chosen);
  return (
    <dialog
      ref={dialog}
      className={style.dialog}
      aria-label="Command bar"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <Bar
        label="Find or run"
        shouldFilter={false}
        loop
        value={isChosenThere ? chosen : first ? idOf(first) : ""}
        onValueChange={setChosen}
      >
        <div className={style.search}>
          <Icon name="search" />
          <Bar.Input
            placeholder="Find an action or a hook, or type what to do"
            value={words}
            onValueChange={(words) => {
              setWords(words);
              setChosen("");
            }}
          />
          <kbd>Esc</kbd>
        </div>
        <Bar.List className={style.list} label="What was found">
          {groups.map((group) => (
            <Bar.Group key={group} heading={group} className={style.group}>
              {found
                .filter((offer) => offer.group === group)
                .map((offer) => (
                  <Bar.Item
                    key={idOf(offer)}
                    value={idOf(offer)}
                    data-pw-search-result
                    className={style.item}
                    onSelect={() => {
                      onClose();
                      offer.run();
                    }}
                  >
                    <Icon name={offer.icon} />
                    <span>{offer.name}</span>
                    {offer.keys && <kbd>{offer.keys}</kbd>}
                  </Bar.Item>
                ))}
            </Bar.Group>
          ))}
        </Bar.List>
        <p role="status" className={style.none}>
          {found.length === 0 && "No results found"}
        </p>
      </Bar>
    </dialog>
  );
}

function idOf({ group, name, words }: Offer): string {
  return [group, name, ...(words ?? [])].join("\n");
}

/** The likest first, and its group first; without words, what is offered in the order it is offered in. */
function matching(offers: Offer[], words: string): Offer[] {
  if (words === "") return offers.filter(({ isHidden }) => !isHidden);
  return offers
    .map((offer) => ({ offer, likeness: likenessOf(offer, words) }))
    .filter(({ likeness }) => likeness > LIKENESS_MIN)
    .sort((one, other) => other.likeness - one.likeness)
    .slice(0, SHOWN_MAX)
    .map(({ offer }) => offer);
}

function likenessOf({ name, noun, words: others }: Offer, words: string): number {
  const likeness = defaultFilter(name, words, others);
  return noun === undefined ? likeness : Math.max(likeness, defaultFilter(noun, words, others));
}

function useOffers(): Offer[] {
  const left = useLeftCommands();
  const { data: hooks } = useQuery(queries.hooks);
  const { data: known = [] } = useQuery(actions);
  const { data: runs = [] } = useQuery(recentRuns);
  const { data: deployed = [] } = useQuery(functions);
  const { data: me } = useQuery(queries.me);
  const [, go] = useLocation();
  const [, here] = useRoute("/hooks/:id");
  const newHook = useNewHook();
  const signIn = useSignIn();
  const recent = byRecency(hooks ?? []);
  const shown = recent.find(({ id }) => id === here?.id);
  const tabsOf = (hook: Hook, group: Offer["group"], isHidden: boolean): Offer[] =>
    TABS.map((tab) => ({
      group,
      icon: "right",
      name: isHidden ? `${hook.name} › ${tab}` : tab,
      words: [hook.id, hook.name],
      isHidden,
      run: () => go(`/hooks/${hook.id}${tab === "Requests" ? "" : `?tab=${tab.toLowerCase()}`}`),
    }));
  return [
    ...left.map((command): Offer => ({ ...command, group: "On this page", icon: "play" })),
    ...(shown ? tabsOf(shown, "On this page", false) : []),
    ...listed(known).map(({ slug, name, description, isPage }, index): Offer => {
      const shared = { words: [slug, description ?? ""], isHidden: index >= ACTIONS_OFFERED };
      return isPage
        ? { ...shared, group: "Actions", icon: "right", name, run: () => go(`/p/${pathOf(slug)}`) }
        : {
            ...shared,
            group: "Actions",
            icon: "play",
            name: `Run ${name}`,
            noun: name,
            run: () => go(`/a/${pathOf(slug)}`),
          };
    }),
    ...runs.map(
      ({ id, name, question, status }, index): Offer => ({
        group: "Runs",
        icon: "clock",
        name: question === null ? `${name} · ${status}` : `${name} · ${question}`,
        words: [id, status],
        isHidden: index >= RUNS_OFFERED,
        run: () => go(`/r/${id}`),
      }),
    ),
    ...recent.map(
      (hook, index): Offer => ({
        group: "Hooks",
        icon: "hook",
        name: hook.name,
        words: [hook.id],
        isHidden: index >= HOOKS_OFFERED || hook === shown,
        run: () => go(`/hooks/${hook.id}`),
      }),
    ),
    ...deployed.map(
      ({ id, name, slug, runtime }, index): Offer => ({
        group: "Functions",
        icon: "function",
        name,
        words: [id, slug, runtime],
        isHidden: index >= FUNCTIONS_OFFERED,
        run: () => go(`/functions/${id}`),
      }),
    ),
    { group: "Do", icon: "plus", name: "New hook", words: ["create", "make"], run: newHook.make },
    { group: "Do", icon: "plus", name: "New function", words: ["create", "make"], run: () => go("/functions?new") },
    { group: "Go to", icon: "hook", name: "All hooks", words: ["import"], run: () => go("/hooks") },
    {
      group: "Go to",
      icon: "function",
      name: "Functions",
      words: ["deploy", "runtimes", "sandbox"],
      run: () => go("/functions"),
    },
    { group: "Go to", icon: "play", name: "Jobs", words: ["workers", "threads", "script"], run: () => go("/jobs") },
    { group: "Go to", icon: "clock", name: "History", words: ["runs"], run: () => go("/history") },
    { group: "Go to", icon: "right", name: "Home", run: () => go("/") },
    {
      group: "Go to",
      icon: "gear",
      name: "Settings",
      words: ["account", "api keys", "server"],
      run: () => go("/settings"),
    },
    { group: "Go to", icon: "check", name: "Health", words: ["status", "metrics"], run: () => go("/health") },
    { group: "Go to", icon: "right", name: "Docs", words: ["help", "api"], run: () => location.assign("/docs") },
    ...(me?.workflowState === "user"
      ? []
      : [{ group: "Do", icon: "person", name: "Sign in", words: ["login"], run: signIn } satisfies Offer]),
    ...THEMES.map(
      ({ theme, name }): Offer => ({
        group: "Theme",
        icon: "change",
        name: `Theme: ${name}`,
        words: ["appearance", "colour"],
        run: () => setTheme(theme),
      }),
    ),
    ...recent
      .slice(0, HOOKS_WITH_TABS)
      .filter((hook) => hook !== shown)
      .flatMap((hook) => tabsOf(hook, "Hooks", true)),
  ];
}
