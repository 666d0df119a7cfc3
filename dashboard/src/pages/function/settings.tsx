/** The tab Settings: what the function is called, how it is built, when it runs, what it may use, and how it ends. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { useLocation } from "wouter";
import { changeFunction, deleteFunction, functions, machine, userFunction } from "../../api/functions.ts";
import { useChange } from "../../api/queries.ts";
import type { FunctionChange, Limits, UserFunction } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Confirm } from "../../components/confirm.tsx";
import { Field } from "../../components/field.tsx";
import { wordsOf } from "../../components/recurrence.ts";
import { Refused } from "../../components/refused.tsx";
import { Section, Sections } from "../../components/tab_section.tsx";
import { useToast } from "../../components/toast.tsx";
import { boundsOf, LIMITS, type Limit, shownOf, countOf } from "./limits.ts";
import style from "./settings.module.css";

export function FunctionSettings({ of }: { of: UserFunction }) {
  return (
    <Sections>
      <About of={of} />
      <Code of={of} />
      <Schedule of={of} />
      <Network of={of} />
      <LimitsForm of={of} />
      <Delete of={of} />
    </Sections>
  );
}

function useFunctionChange(of: UserFunction) {
  return useChange(
    (change: FunctionChange) => changeFunction(of.id, change),
    [userFunction(of.id).queryKey, functions.queryKey],
  );
}

/** Only what differs from what the server has: whatever comes from there is shown otherwise. */
function useTyped<Name extends string>(kept: Record<Name, string>) {
  const [typed, setTyped] = useState<Partial<Record<Name, string>>>({});
  const changed = (Object.keys(typed) as Name[]).filter((name) => typed[name] !== kept[name]);
  return {
    of: (name: Name) => typed[name] ?? kept[name],
    set: (name: Name, words: string) => setTyped((typed) => ({ ...typed, [name]: words })),
    changed,
    isChanged: changed.length > 0,
    forget: () => setTyped({}),
  };
}

interface SavedProps {
  of: UserFunction;
  title: string;
  why: ReactNode;
  typed: { isChanged: boolean; forget: () => void };
  /** Nothing where what was typed cannot be. */
  change: () => FunctionChange | undefined;
  children: ReactNode;
}

/** A section with a button that keeps all of it. */
function Saved({ of, title, why, typed, change, children }: SavedProps) {
  const toast = useToast();
  const save = useFunctionChange(of);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wanted = typed.isChanged && !save.isPending ? change() : undefined;
    if (!wanted) return;
    save.mutate(wanted, {
      onSuccess: () => {
        typed.forget();
        toast.done(`${title}: saved.`);
      },
    });
  };
  return (
    <Section title={title} why={why}>
      <form className={style.form} onSubmit={submit}>
        {children}
        <Refused error={save.error} />
        <div className={style.tools}>
          <Button
            type="submit"
            kind={typed.isChanged ? "main" : "plain"}
            disabled={!typed.isChanged}
            isBusy={save.isPending}
          >
            Save
          </Button>
          {typed.isChanged && (
            <Button
              kind="quiet"
              onClick={() => {
                typed.forget();
                save.reset();
              }}
            >
              Take back
            </Button>
          )}
        </div>
      </form>
    </Section>
  );
}

const orNull = (words: string) => (words.trim() === "" ? null : words.trim());

function About({ of }: { of: UserFunction }) {
  const typed = useTyped({ name: of.name, slug: of.slug });
  const missing = (name: "name" | "slug") => (typed.of(name).trim() === "" ? "required" : undefined);
  const address = of.url.replace(/[^/]*$/, typed.of("slug").trim());
  return (
    <Saved
      of={of}
      title="About"
      why="What it is called, and where."
      typed={typed}
      change={() =>
        missing("name") || missing("slug")
          ? undefined
          : { name: typed.of("name").trim(), slug: typed.of("slug").trim() }
      }
    >
      <Field
        label="Name"
        autoComplete="off"
        value={typed.of("name")}
        error={missing("name")}
        onChange={(event) => typed.set("name", event.target.value)}
      />
      <Field
        label="Slug"
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        value={typed.of("slug")}
        error={missing("slug")}
        hint={
          <>
            It answers at <code>{address}</code>
            {typed.of("slug") !== of.slug && ", and no longer where it does now"}.
          </>
        }
        onChange={(event) => typed.set("slug", event.target.value)}
      />
    </Saved>
  );
}

function Code({ of }: { of: UserFunction }) {
  const { data } = useQuery(machine);
  const runtime = data?.objects.find(({ name }) => name === of.runtime);
  const typed = useTyped({ entrypoint: of.entrypoint ?? "", build: of.build ?? "" });
  return (
    <Saved
      of={of}
      title="Code"
      why={`It is run with ${runtime?.title ?? of.runtime}. What is deployed from now on follows this; what was, stays as it is.`}
      typed={typed}
      change={() => ({ entrypoint: orNull(typed.of("entrypoint")), build: orNull(typed.of("build")) })}
    >
      <Field
        label="Entrypoint"
        note="optional"
        spellCheck={false}
        autoCapitalize="off"
        autoComplete="off"
        placeholder={runtime?.entrypoint}
        hint="The file that is run, from the folder of the code."
        value={typed.of("entrypoint")}
        onChange={(event) => typed.set("entrypoint", event.target.value)}
      />
      <Field
        as="textarea"
        label="Build command"
        note="optional"
        rows={2}
        spellCheck={false}
        placeholder={runtime?.build ?? undefined}
        hint={
          <>
            Of a shell, in the folder of the code. With <code>true</code> nothing is built.
          </>
        }
        value={typed.of("build")}
        onChange={(event) => typed.set("build", event.target.value)}
      />
    </Saved>
  );
}

function Schedule({ of }: { of: UserFunction }) {
  const typed = useTyped({ schedule: of.schedule ?? "" });
  const cron = typed.of("schedule").trim();
  const words = cron === "" ? "It runs when it is called, and not by itself." : wordsOf(cron);
  return (
    <Saved
      of={of}
      title="Schedule"
      why="When the function is called by itself, by the clock of UTC."
      typed={typed}
      change={() => ({ schedule: orNull(cron) })}
    >
      <Field
        label="Cron expression"
        note="optional"
        spellCheck={false}
        autoComplete="off"
        placeholder="0 9 * * MON-FRI"
        hint={words ?? "Minute, hour, day of the month, month, day of the week."}
        value={typed.of("schedule")}
        onChange={(event) => typed.set("schedule", event.target.value)}
      />
    </Saved>
  );
}

const NETWORKS = {
  none: "No network: it can be called, and calls nobody.",
  internet: "The internet, but no private address.",
} satisfies Record<UserFunction["network"], string>;

function Network({ of }: { of: UserFunction }) {
  const typed = useTyped({ network: of.network });
  return (
    <Saved
      of={of}
      title="Network"
      why="What its code, and its build, can reach."
      typed={typed}
      change={() => ({ network: typed.of("network") === "internet" ? "internet" : "none" })}
    >
      <fieldset className={style.choices}>
        <legend className="unseen">Network</legend>
        {Object.entries(NETWORKS).map(([name, words]) => (
          <label key={name}>
            <input
              type="radio"
              name="network"
              value={name}
              checked={typed.of("network") === name}
              onChange={() => typed.set("network", name)}
            />
            {words}
          </label>
        ))}
      </fieldset>
    </Saved>
  );
}

const ALL_LIMITS = LIMITS.flatMap(({ limits }) => limits);

function LimitsForm({ of }: { of: UserFunction }) {
  const kept = Object.fromEntries(ALL_LIMITS.map((limit) => [limit.name, shownOf(limit, of.limits[limit.name])]));
  const typed = useTyped(kept as Record<keyof Limits, string>);
  const errorOf = (limit: Limit) => (countOf(limit, typed.of(limit.name)) === undefined ? boundsOf(limit) : undefined);
  return (
    <Saved
      of={of}
      title="Limits"
      why="What it may use. Whoever reaches one is told which; instances start anew with the new ones."
      typed={typed}
      change={() => {
        const changed = ALL_LIMITS.filter(({ name }) => typed.changed.includes(name));
        if (changed.some(errorOf)) return undefined;
        return {
          limits: Object.fromEntries(changed.map((limit) => [limit.name, countOf(limit, typed.of(limit.name))])),
        };
      }}
    >
      {LIMITS.map(({ title, limits }) => (
        <fieldset key={title} className={style.limits}>
          <legend>{title}</legend>
          {limits.map((limit) => (
            <Field
              key={limit.name}
              label={limit.label}
              note={limit.unit}
              inputMode="decimal"
              autoComplete="off"
              hint={limit.hint}
              error={errorOf(limit)}
              value={typed.of(limit.name)}
              onChange={(event) => typed.set(limit.name, event.target.value)}
            />
          ))}
        </fieldset>
      ))}
    </Saved>
  );
}

function Delete({ of }: { of: UserFunction }) {
  const toast = useToast();
  const cache = useQueryClient();
  const [, go] = useLocation();
  const [isAsking, setAsking] = useState(false);
  const remove = useChange(() => deleteFunction(of.id), [functions.queryKey]);
  return (
    <Section
      title="Delete"
      why="The function, its deployments, variables and executions are gone, and its address answers nobody."
      actions={
        <Button kind="danger" icon="bin" onClick={() => setAsking(true)}>
          Delete
        </Button>
      }
    >
      <Confirm
        title="Delete this function?"
        verb="Delete"
        typed={of.name}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        isBusy={remove.isPending}
        onConfirm={() =>
          remove.mutateAsync(undefined).then(
            () => {
              // The list that one is led to would ask for what is in it.
              cache.setQueryData(functions.queryKey, (known) => known?.filter(({ id }) => id !== of.id));
              // Whoever comes back to it asks the server, which knows no such function.
              void cache.invalidateQueries({ queryKey: userFunction(of.id).queryKey, refetchType: "none" });
              toast.done(`“${of.name}” is deleted.`);
              go("/functions", { replace: true });
            },
            (error: Error) => {
              setAsking(false);
              toast.failed(error);
            },
          )
        }
      >
        <p>Every deployment and every execution is gone for good. There is no way back.</p>
      </Confirm>
    </Section>
  );
}
