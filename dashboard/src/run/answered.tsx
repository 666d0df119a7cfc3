/** What was asked and answered before, a quiet line each; and what was only shown, as it was shown. */

import { useState } from "react";
import type { Answered as Answer, Component, Json } from "../api/types.ts";
import { Icon } from "../components/icon.tsx";
import style from "./answered.module.css";
import { type Ask, isDisplay, shownOf } from "./component.ts";
import { Display } from "./displays/display.tsx";
import { useAsk } from "./form.tsx";
import { inputOf } from "./inputs/inputs.ts";
import { decoded } from "./superjson.ts";

export function Answered({ runId, answer }: { runId: string; answer: Answer }) {
  const isShown = answer.isDisplay || answer.values === null;
  if (isShown) {
    return answer.toRender.map((component, index) => (
      <div key={index} className={style.shown}>
        <ShownOne runId={runId} answerKey={answer.key} index={index} component={component} />
      </div>
    ));
  }
  return <Lines answer={answer} />;
}

interface OneProps {
  runId: string;
  answerKey: string;
  index: number;
  component: Component;
}

function ShownOne({ runId, answerKey, index, component }: OneProps) {
  const ask = useAsk(runId, answerKey, index);
  return <Display shown={shownOf(component)} ask={ask} isReadOnly={false} />;
}

/** What a line has no room for. */
const LARGE = ["SELECT_TABLE", "SELECT_MULTIPLE", "INPUT_SPREADSHEET", "INPUT_RICH_TEXT", "UPLOAD_FILE"];
const LINE_MAX = 80;

function Lines({ answer }: { answer: Answer }) {
  const [isOpen, setOpen] = useState(false);
  const values = decoded(answer.values as Json, answer.valuesMeta) as unknown[];
  const lines = answer.toRender.map((component, index) => lineOf(component, values[index]));
  const named = lines.filter((line) => line !== undefined);
  const { choice } = answer;
  const isMore =
    answer.toRender.some((component) => isDisplay(component) || LARGE.includes(component.methodName)) ||
    named.some(({ words }) => words.length > LINE_MAX);
  return (
    <div className={style.answered}>
      <dl className={style.lines}>
        {named.map(({ label, words }, place) => (
          <div key={place} className={style.line}>
            <dt>{label}</dt>
            <dd>{words || <span className={style.nothing}>left empty</span>}</dd>
          </div>
        ))}
        {(choice || named.length === 0) && (
          <div className={style.line}>
            <dt>{named.length === 0 ? (answer.toRender[0]?.label ?? "") : "Choice"}</dt>
            <dd>{choice ?? "Continue"}</dd>
          </div>
        )}
      </dl>
      {isMore && (
        <button type="button" className={style.more} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <Icon name={isOpen ? "down" : "right"} /> {isOpen ? "Less" : "More"}
        </button>
      )}
      {isMore && isOpen && (
        <div className={style.whole}>
          {answer.toRender.map((_, index) => (
            <ReadOnly key={index} answer={answer} index={index} value={values[index]} />
          ))}
        </div>
      )}
    </div>
  );
}

const CONFIRMED: Record<string, string> = { true: "Confirmed", false: "Not confirmed" };

function lineOf(component: Component, value: unknown): { label: string; words: string } | undefined {
  if (isDisplay(component)) return undefined;
  const shown = shownOf(component);
  const words = inputOf(shown.method)?.words(value, shown) ?? CONFIRMED[String(value)] ?? "";
  return { label: shown.label, words: value === null || value === undefined ? "" : words };
}

interface ReadOnlyProps {
  answer: Answer;
  index: number;
  value: unknown;
}

const nothing = () => {};
const never: Ask = () => Promise.reject(new Error("This was answered."));

function ReadOnly({ answer, index, value }: ReadOnlyProps) {
  const component = answer.toRender[index];
  if (!component) return null;
  const shown = shownOf(component);
  if (isDisplay(component)) return <Display shown={shown} ask={never} isReadOnly />;
  const input = inputOf(shown.method);
  return (
    input && (
      <input.Field
        shown={shown}
        draft={input.draftOf(value, shown)}
        onChange={nothing}
        onBusy={nothing}
        error={undefined}
        isReadOnly
        ask={never}
      />
    )
  );
}
