/** A script, an input, and *Run*. */

import { lazy, Suspense, useEffect, useId, useState } from "react";
import { Problem } from "../../api/http.ts";
import type { JobOrder } from "../../api/jobs.ts";
import * as queries from "../../api/queries.ts";
import type { Json, Where } from "../../api/types.ts";
import { useCommands } from "../../commands.ts";
import { Button } from "../../components/button.tsx";
import { Field } from "../../components/field.tsx";
import { Card } from "../../components/page.tsx";
import { useToast } from "../../components/toast.tsx";
import type { Wrong } from "../../editor/editor.tsx";
import { nameOf } from "../../jobs/name.ts";
import type { Tab } from "../../jobs/tab.ts";
import { withModifier } from "../../keys.ts";
import style from "./composer.module.css";
import { EXAMPLES } from "./examples.ts";

const Editor = lazy(() => import("../../editor/editor.tsx"));

const STORED = "everfold-jobs-draft";
const SECONDS_MAX = 600;
const VERIFY_MAX = 15;

const WHERE: Record<Where, string> = { any: "Anywhere", tab: "In a worker of mine", server: "On the server" };

interface Draft {
  code: string;
  input: string;
  isFannedOut: boolean;
  where: Where;
  seconds: string;
  verify: string;
}

const [{ name: _, ...example }] = EXAMPLES;
const FIRST: Draft = { ...example, seconds: "30", verify: "1" };

export function Composer({ tab, onRun }: { tab: Tab; onRun: (id: string) => void }) {
  const toast = useToast();
  const [draft, change] = useDraft();
  const [wrong, setWrong] = useState<readonly Wrong[]>([]);
  const [refused, setRefused] = useState<string>();
  const [inputError, setInputError] = useState<string>();
  const fanOut = useId();
  const submitted = queries.useChange(tab.submit);

  const run = () => {
    setRefused(undefined);
    setWrong([]);
    const order = orderOf(draft);
    if ("error" in order) return setInputError(order.error);
    setInputError(undefined);
    submitted.mutate(order, {
      onSuccess: ({ id }) => onRun(id),
      onError: (error) => {
        if (!(error instanceof Problem && error.more.line !== undefined)) return toast.failed(error);
        const [line, column] = [Number(error.more.line), Number(error.more.column ?? 1)];
        setWrong([{ line, column, words: error.message }]);
        setRefused(`Line ${line}: ${error.message}`);
      },
    });
  };
  useCommands([{ name: "Run", run, keys: withModifier("Enter") }]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.key !== "Enter") return;
      event.preventDefault();
      event.stopPropagation();
      run();
    };
    // Before the editor, to which these keys are a new line.
    addEventListener("keydown", onKey, { capture: true });
    return () => removeEventListener("keydown", onKey, { capture: true });
  });

  return (
    <Card isFlush>
      <div className={style.tools}>
        <Field
          as="select"
          label="Example"
          isLabelUnseen
          value=""
          onChange={(event) => {
            const example = EXAMPLES.find(({ name }) => name === event.target.value);
            if (!example) return;
            const { name: _, ...begin } = example;
            change(begin);
            toast.done("The example is in the editor.", () => change(draft));
          }}
        >
          <option value="">Example…</option>
          {EXAMPLES.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </Field>
        <Button
          kind="main"
          icon="play"
          onClick={run}
          isBusy={submitted.isPending}
          aria-keyshortcuts="Control+Enter Meta+Enter"
        >
          Run
        </Button>
      </div>
      {refused && (
        <p role="alert" className={style.refused}>
          {refused}
        </p>
      )}
      <div className={style.editor}>
        <Suspense fallback={<pre className={style.still}>{draft.code}</pre>}>
          <Editor label="Code" value={draft.code} wrong={wrong} state={null} onChange={(code) => change({ code })} />
        </Suspense>
      </div>
      <div className={style.with}>
        <Field
          as="textarea"
          label="Input"
          note="JSON, what the script finds as input"
          rows={3}
          spellCheck={false}
          value={draft.input}
          error={inputError}
          onChange={(event) => {
            change({ input: event.target.value });
            setInputError(undefined);
          }}
        />
        <div className={style.how}>
          <div className={style.check}>
            <input
              id={fanOut}
              type="checkbox"
              checked={draft.isFannedOut}
              onChange={(event) => change({ isFannedOut: event.target.checked })}
            />
            <label htmlFor={fanOut}>Once for each item</label>
          </div>
          <Field
            as="select"
            label="Where"
            value={draft.where}
            onChange={(event) => change({ where: event.target.value as Where })}
          >
            {Object.entries(WHERE).map(([where, words]) => (
              <option key={where} value={where}>
                {words}
              </option>
            ))}
          </Field>
          <Field
            label="Seconds at most"
            type="number"
            min={1}
            max={SECONDS_MAX}
            value={draft.seconds}
            onChange={(event) => change({ seconds: event.target.value })}
          />
          <Field
            label="Workers that check"
            type="number"
            min={1}
            max={VERIFY_MAX}
            value={draft.verify}
            onChange={(event) => change({ verify: event.target.value })}
          />
        </div>
      </div>
    </Card>
  );
}

/** What is written here stays, as long as the tab does. */
function useDraft(): [Draft, (change: Partial<Draft>) => void] {
  const [draft, setDraft] = useState<Draft>(() => {
    const stored = sessionStorage.getItem(STORED);
    return stored === null ? FIRST : { ...FIRST, ...(JSON.parse(stored) as Partial<Draft>) };
  });
  useEffect(() => sessionStorage.setItem(STORED, JSON.stringify(draft)), [draft]);
  return [draft, (change) => setDraft((draft) => ({ ...draft, ...change }))];
}

/** What is asked for, or what is wrong with the input. */
function orderOf({ code, input: text, isFannedOut, where, seconds, verify }: Draft): JobOrder | { error: string } {
  const input = parsed(text);
  if (input === undefined) return { error: "This is not JSON." };
  if (isFannedOut && !(Array.isArray(input) && input.length > 0)) {
    return { error: "Once for each item: so this has to be a list, [ … ], with something in it." };
  }
  const name = nameOf(code);
  const workers = Number(verify);
  return {
    code,
    where,
    timeoutMs: 1000 * Math.max(1, Math.min(SECONDS_MAX, Number(seconds) || 30)),
    ...(isFannedOut && Array.isArray(input) ? { inputs: input } : { input }),
    ...(name !== undefined && { name }),
    ...(workers > 1 && { verify: workers }),
  };
}

function parsed(text: string): Json | undefined {
  try {
    return text.trim() === "" ? null : JSON.parse(text);
  } catch {
    return undefined;
  }
}
