/** The tab Settings: what the hook is called, whether it folds, what can be taken along, and how it ends. */

import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import * as queries from "../../api/queries.ts";
import type { Hook } from "../../api/types.ts";
import { Button, LinkButton } from "../../components/button.tsx";
import { Confirm } from "../../components/confirm.tsx";
import { Copyable } from "../../components/copy.tsx";
import { Field } from "../../components/field.tsx";
import { Icon } from "../../components/icon.tsx";
import { count } from "../../components/time.tsx";
import { useToast } from "../../components/toast.tsx";
import { Section, Sections } from "../../components/tab_section.tsx";
import style from "./settings.module.css";

export function HookSettings({ hook }: { hook: Hook }) {
  return (
    <Sections>
      <About hook={hook} />
      <Folding hook={hook} />
      <Section
        title="Export"
        why="Code, versions and every request, as one file that another Everfold reads: the same log, the same hashes."
        actions={
          <LinkButton icon="download" href={queries.exportPath(hook.id)} download>
            Export
          </LinkButton>
        }
      />
      <Verify hook={hook} />
      <Reset hook={hook} />
      <Delete hook={hook} />
    </Sections>
  );
}

type Change = Parameters<typeof queries.changeHook>[1];

function useHookChange(hook: Hook) {
  return queries.useChange((change: Change) => queries.changeHook(hook.id, change), [["hook", hook.id], ["hooks"]]);
}

function About({ hook }: { hook: Hook }) {
  return (
    <Section title="About" why="Saved when you leave the field.">
      <Written hook={hook} what="name" label="Name" isRequired />
      <Written
        hook={hook}
        what="description"
        label="Description"
        hint="What it is for, to whoever comes after you."
        isLong
      />
    </Section>
  );
}

interface WrittenProps {
  hook: Hook;
  what: "name" | "description";
  label: string;
  hint?: string;
  isRequired?: boolean;
  isLong?: boolean;
}

/** Words that are kept when the field is left, and can be put back. */
function Written({ hook, what, label, hint, isRequired = false, isLong = false }: WrittenProps) {
  const toast = useToast();
  const change = useHookChange(hook);
  // Only what differs from what the server has: whatever comes from there is shown otherwise.
  const [words, setWords] = useState<string>();
  const kept = hook[what];
  const isMissing = isRequired && words?.trim() === "";
  const write = (words: string, before: string) =>
    change
      .mutateAsync({ [what]: words })
      .then(() => toast.done(`The ${what} is saved.`, () => write(before, words)), toast.failed);
  const leave = () => {
    if (words === undefined || isMissing) return;
    if (words.trim() === kept) setWords(undefined);
    else void write(words.trim(), kept).finally(() => setWords(undefined));
  };
  const shared = {
    label,
    hint,
    value: words ?? kept,
    error: isMissing ? "required" : undefined,
    onBlur: leave,
  };
  if (isLong)
    return <Field {...shared} as="textarea" isProse rows={3} onChange={(event) => setWords(event.target.value)} />;
  return (
    <Field
      {...shared}
      autoComplete="off"
      onChange={(event) => setWords(event.target.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter") leave();
        if (event.key === "Escape") setWords(undefined);
      }}
    />
  );
}

function Folding({ hook }: { hook: Hook }) {
  const toast = useToast();
  const change = useHookChange(hook);
  const isPaused = hook.workflowState === "paused";
  const turn = (workflowState: Hook["workflowState"]) =>
    change
      .mutateAsync({ workflowState })
      .then(
        () =>
          toast.done(workflowState === "paused" ? "The hook is paused." : "The hook plays again.", () =>
            turn(workflowState === "paused" ? "live" : "paused"),
          ),
        toast.failed,
      );
  return (
    <Section
      title={isPaused ? "The hook is paused" : "The hook is live"}
      why={
        isPaused
          ? "Requests are kept, and folded in their order when it plays again."
          : "Each request is folded as it arrives. While it is paused, requests are kept, and folded when it plays again."
      }
      actions={
        <Button
          icon={isPaused ? "play" : "pause"}
          isBusy={change.isPending}
          onClick={() => turn(isPaused ? "live" : "paused")}
        >
          {isPaused ? "Play" : "Pause"}
        </Button>
      }
    />
  );
}

function Verify({ hook }: { hook: Hook }) {
  const toast = useToast();
  const verify = queries.useChange(() => queries.verify(hook.id));
  const verified = verify.data;
  return (
    <Section
      title="Integrity"
      why="Each request is chained to the one before it. This computes the whole chain anew and compares."
      actions={
        <Button isBusy={verify.isPending} onClick={() => verify.mutateAsync(undefined).catch(toast.failed)}>
          Verify the log
        </Button>
      }
    >
      <div role="status" className={style.answer}>
        {verified && (
          <div className={style.verified}>
            <p className={verified.ok ? style.ok : style.bad}>
              <Icon name={verified.ok ? "check" : "warning"} />
              {verified.ok ? "ok" : "not ok"}: {verified.detail ?? `the chain holds through request ${verified.seq}.`}
            </p>
            {verified.hash && (
              <>
                <p className={style.note}>Hash of the last receipt</p>
                <Copyable text={verified.hash} label="Copy hash" />
              </>
            )}
          </div>
        )}
      </div>
    </Section>
  );
}

function Reset({ hook }: { hook: Hook }) {
  const toast = useToast();
  const [isAsking, setAsking] = useState(false);
  const reset = queries.useChange(() => queries.resetRequests(hook.id), [["hook", hook.id], ["hooks"]]);
  return (
    <Section
      title="Reset"
      why="Throws away every request and the state. Code, versions, keys and secrets stay; numbers go on from where they are."
      actions={
        <Button kind="danger" icon="restore" onClick={() => setAsking(true)}>
          Reset
        </Button>
      }
    >
      <Confirm
        title="Reset this hook?"
        verb="Reset"
        typed={hook.name || hook.id}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        isBusy={reset.isPending}
        onConfirm={() =>
          reset
            .mutateAsync(undefined)
            .then(() => toast.done("The log begins anew."), toast.failed)
            .finally(() => setAsking(false))
        }
      >
        <p>{requestsOf(hook.requestCount)} and the state are gone for good. Take an export first, if in doubt.</p>
      </Confirm>
    </Section>
  );
}

function Delete({ hook }: { hook: Hook }) {
  const toast = useToast();
  const cache = useQueryClient();
  const [, go] = useLocation();
  const [isAsking, setAsking] = useState(false);
  const remove = queries.useChange(() => queries.deleteHook(hook.id), [["hooks"]]);
  return (
    <Section
      title="Delete"
      why="The hook, its log, its code and its keys are gone, and its addresses answer nobody."
      actions={
        <Button kind="danger" icon="bin" onClick={() => setAsking(true)}>
          Delete
        </Button>
      }
    >
      <Confirm
        title="Delete this hook?"
        verb="Delete"
        typed={hook.name || hook.id}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        isBusy={remove.isPending}
        onConfirm={() =>
          remove.mutateAsync(undefined).then(
            () => {
              // Whoever comes back to it asks the server, which knows no such hook.
              void cache.invalidateQueries({ queryKey: ["hook", hook.id], refetchType: "none" });
              toast.done(`“${hook.name}” is deleted.`);
              go("/hooks", { replace: true });
            },
            (error: Error) => {
              setAsking(false);
              toast.failed(error);
            },
          )
        }
      >
        <p>{requestsOf(hook.requestCount)} and everything that came of them are gone for good. There is no way back.</p>
      </Confirm>
    </Section>
  );
}

function requestsOf(many: number): string {
  return many === 1 ? "1 request" : `${count(many)} requests`;
}
