/** The form engine: a question is a list of components, each with its draft, and one way to send them. */

import { type FormEvent, type ReactNode, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { Away, Problem } from "../api/http.ts";
import { askComponent, firstKey } from "../api/runs.ts";
import type { ButtonTheme, Choice, Component, Json, Question } from "../api/types.ts";
import { Button } from "../components/button.tsx";
import { withModifier } from "../keys.ts";
import { type Ask, isDisplay, type Shown, shownOf } from "./component.ts";
import { Display } from "./displays/display.tsx";
import { keepDraft, keptDraft } from "./draft.ts";
import style from "./form.module.css";
import { inputOf } from "./inputs/inputs.ts";

export interface Sent {
  values: unknown[];
  choice?: string | undefined;
}

interface Props {
  runId: string;
  question: Question;
  /** Resolves when the answer is taken, and rejects when it is not. */
  onSend: (sent: Sent) => Promise<void>;
  isSending: boolean;
}

const KINDS: Record<ButtonTheme, "plain" | "main" | "danger"> = {
  default: "main",
  primary: "main",
  secondary: "plain",
  danger: "danger",
};

/** Made anew for each question. */
export function Form({ runId, question, onSend, isSending }: Props) {
  const form = useRef<HTMLFormElement>(null);
  const { drafts, setDraft } = useDrafts(runId, question);
  const { fields, words, turn, refuse, touch, accept } = useErrors(question);
  const [busy, setBusy] = useState<ReadonlySet<number>>(new Set());
  useFocus(form);
  useFirstError(form, turn);

  const send = (choice: string | undefined) => {
    if (isSending) return;
    if (busy.size > 0) {
      refuse({}, "A file is still on its way. Wait until it is there.");
      return;
    }
    const values = question.toRender.map((component, index) => {
      if (isDisplay(component)) return null;
      const shown = shownOf(component);
      return inputOf(shown.method)?.answer(drafts[index] ?? null, shown) ?? null;
    });
    accept();
    // What was filled in is kept until the action goes on: it may ask the same again.
    onSend({ values, choice }).catch((error: Error) => refuse(fieldsOf(error), wordsOf(error)));
  };
  const choices = choicesOf(question);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const { submitter } = event.nativeEvent as SubmitEvent;
    const pressed = submitter instanceof HTMLButtonElement ? choices[Number(submitter.value)] : undefined;
    send((pressed ?? choices[0])?.value);
  };
  useSendKeys(form);

  return (
    <form ref={form} className={style.form} noValidate tabIndex={-1} onSubmit={submit}>
      <div className={style.fields}>
        {question.toRender.map((component, index) => (
          <OneOf
            key={index}
            runId={runId}
            question={question.key}
            index={index}
            component={component}
            draft={drafts[index] ?? null}
            error={fields[index]}
            onChange={(draft) => {
              touch(index);
              setDraft(index, draft);
            }}
            onBusy={(isBusy) =>
              setBusy((all) => {
                const next = new Set(all);
                if (isBusy) next.add(index);
                else next.delete(index);
                return next;
              })
            }
          />
        ))}
      </div>
      {words && (
        <p className={style.error} data-pw="form-error" role="alert">
          {words}
        </p>
      )}
      <div className={style.answers}>
        {choices.map(({ label, theme }, place) => (
          <Button
            key={place}
            type="submit"
            kind={KINDS[theme ?? (place === 0 ? "primary" : "secondary")]}
            value={place}
            isBusy={isSending}
            data-pw="continue-button"
            title={place === 0 ? withModifier("↵") : undefined}
          >
            {label}
          </Button>
        ))}
      </div>
    </form>
  );
}

interface OneProps {
  runId: string;
  question: string;
  index: number;
  component: Component;
  draft: Json;
  error: string | undefined;
  onChange: (draft: Json) => void;
  onBusy: (isBusy: boolean) => void;
}

function OneOf({ runId, question, index, component, draft, error, onChange, onBusy }: OneProps): ReactNode {
  const shown = shownOf(component);
  const ask = useAsk(runId, question, index);
  if (isDisplay(component)) return <Display shown={shown} ask={ask} isReadOnly={false} />;
  const input = inputOf(shown.method);
  if (!input) {
    return (
      <p>
        {shown.label} <small>({shown.method} cannot be answered here.)</small>
      </p>
    );
  }
  return (
    <div data-field={index}>
      <input.Field
        shown={shown}
        draft={draft}
        onChange={onChange}
        error={error}
        isReadOnly={false}
        ask={ask}
        onBusy={onBusy}
      />
    </div>
  );
}

export function useAsk(runId: string, key: string, index: number): Ask {
  return useCallback((state) => askComponent(runId, key, index, state).then(shownOf), [runId, key, index]);
}

/** One button, unless the action has others. */
function choicesOf({ choiceButtons, continueButton }: Question): (Omit<Choice, "value"> & { value?: string })[] {
  if (choiceButtons && choiceButtons.length > 0) return choiceButtons;
  return [{ label: continueButton?.label ?? "Continue", theme: continueButton?.theme ?? "primary" }];
}

function useDrafts(runId: string, question: Question) {
  const { toRender } = question;
  // What is asked again begins with what was refused.
  const key = firstKey(question.key);
  const [drafts, setDrafts] = useState<readonly Json[]>(
    () => keptDraft(runId, key, toRender.length) ?? toRender.map((component) => begun(shownOf(component))),
  );
  const newest = useRef(drafts);
  const isLost = useRef(false);
  useEffect(() => {
    // Nothing is asked where everything is kept.
    const onLeave = (event: BeforeUnloadEvent) => {
      if (isLost.current) event.preventDefault();
    };
    addEventListener("beforeunload", onLeave);
    return () => removeEventListener("beforeunload", onLeave);
  }, []);
  const setDraft = (index: number, draft: Json) => {
    newest.current = newest.current.map((before, place) => (place === index ? draft : before));
    setDrafts(newest.current);
    isLost.current = !keepDraft(runId, key, newest.current);
  };
  return { drafts, setDraft };
}

const begun = (shown: Shown): Json => inputOf(shown.method)?.begin(shown) ?? null;

/** What is wrong with each field, and with all of it: said by the server, or by the action that asks again. */
interface Wrong {
  question: Question;
  fields: Record<number, string>;
  words: string | undefined;
  /** Counts how often something was said. */
  turn: number;
}

function judged(question: Question, turn: number): Wrong {
  const messages = question.toRender.map(({ validationErrorMessage }) => validationErrorMessage);
  const fields = Object.fromEntries(messages.flatMap((message, index) => (message ? [[index, message]] : [])));
  const words = question.validationErrorMessage ?? undefined;
  const isWrong = words !== undefined || Object.keys(fields).length > 0;
  return { question, fields, words, turn: isWrong ? turn + 1 : turn };
}

function useErrors(question: Question) {
  const [kept, setWrong] = useState(() => judged(question, 0));
  const wrong = kept.question === question ? kept : judged(question, kept.turn);
  if (wrong !== kept) setWrong(wrong);
  const say = (fields: Record<number, string>, words: string | undefined) =>
    setWrong(({ turn }) => ({ question, fields, words, turn: turn + 1 }));
  return {
    ...wrong,
    refuse: say,
    accept: () => setWrong((wrong) => ({ ...wrong, fields: {}, words: undefined })),
    /** What is mended is no longer wrong. */
    touch: (index: number) =>
      setWrong((wrong) => {
        const { [index]: _, ...fields } = wrong.fields;
        return { ...wrong, fields, words: undefined };
      }),
  };
}

/** A refusal names the fields it is about. */
function fieldsOf(error: Error): Record<number, string> {
  if (!(error instanceof Problem)) return {};
  const { more } = error;
  const inner = more.error;
  const list = more.fields ?? (typeof inner === "object" && inner && !Array.isArray(inner) ? inner.fields : undefined);
  if (!Array.isArray(list)) return {};
  const fields: Record<number, string> = {};
  for (const field of list) {
    if (typeof field !== "object" || field === null || Array.isArray(field)) continue;
    if (typeof field.index === "number" && typeof field.message === "string") fields[field.index] = field.message;
  }
  return fields;
}

function wordsOf(error: Error): string | undefined {
  if (error instanceof Away)
    return "The server does not answer. What you filled in is kept: send it again in a moment.";
  if (Object.keys(fieldsOf(error)).length > 0) return undefined;
  return [error.message, error instanceof Problem && error.hint].filter(Boolean).join(" ");
}

const FOCUSABLE =
  'input:not(:disabled, [type="hidden"]), textarea:not(:disabled), select:not(:disabled), [contenteditable="true"]';

/** One begins to type at once, unless one is busy elsewhere. */
function useFocus(form: { current: HTMLFormElement | null }) {
  useEffect(() => {
    const { activeElement } = document;
    if (activeElement && activeElement !== document.body) return;
    const field = form.current?.querySelector(`[data-field]:has(${FOCUSABLE})`);
    // Of radio buttons, the one that is chosen.
    const first = field?.querySelector<HTMLElement>("[type=radio]:checked") ?? field?.querySelector(FOCUSABLE);
    const place = first instanceof HTMLElement ? first : form.current;
    place?.focus({ preventScroll: true });
    form.current?.scrollIntoView({ block: "nearest" });
  }, [form]);
}

/** What is wrong is brought into sight when it is said; who mends one field is not taken to the next. */
function useFirstError(form: { current: HTMLFormElement | null }, turn: number) {
  useLayoutEffect(() => {
    if (turn === 0) return;
    const message = form.current?.querySelector('[data-pw="field-error"], [data-pw="form-error"]');
    message?.scrollIntoView({ block: "center" });
    message?.closest("[data-field]")?.querySelector<HTMLElement>(FOCUSABLE)?.focus({ preventScroll: true });
  }, [form, turn]);
}

/** Ctrl or Cmd with Enter sends it, wherever one is. */
function useSendKeys(form: { current: HTMLFormElement | null }) {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      form.current?.requestSubmit();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [form]);
}
