/** Something that is looked for with words: the action finds, a person chooses. */

import { useEffect, useRef, useState } from "react";
import { Button } from "../../components/button.tsx";
import type { Common, Input, InputProps, Shown } from "../component.ts";
import type { PictureProps } from "../displays/picture.tsx";
import { cellWords } from "../displays/value.ts";
import { Combobox } from "./combobox.tsx";
import { Frame } from "./frame.tsx";
import { noteOf } from "./note.ts";
import { OptionText, optionWords } from "./option.tsx";
import style from "./search.module.css";

interface Result {
  value: string;
  label: unknown;
  description?: string | null;
  imageUrl?: string | null;
  image?: PictureProps;
}

interface Props extends Common {
  results: Result[];
  defaultValue?: string | null;
}

/** Words are asked for when the typing rests. */
const REST_MS = 150;

/** What was found goes when other words are typed: what it was called is kept with it. */
type Found = { value: string; label: string };
type Draft = Found[];

function Search({ shown, draft, onChange, error, isReadOnly, ask }: InputProps<Props, Draft>) {
  const { label, isMultiple, props } = shown;
  const [words, setWords] = useState<string>();
  const { results, isBusy, look } = useResults(shown, ask);
  if (isReadOnly) {
    return (
      <Frame label={label} hint={props.helpText} note={noteOf(shown)} error={error}>
        <p>{draft.map(({ label }) => label).join(", ")}</p>
      </Frame>
    );
  }
  const one = isMultiple ? undefined : draft[0];
  const choose = (value: string) => {
    const result = results.find((result) => result.value === value);
    if (!result) return;
    const found = { value, label: optionWords(result) };
    onChange(isMultiple ? [...draft.filter((other) => other.value !== value), found] : [found]);
    setWords(undefined);
  };
  return (
    <Combobox
      label={label}
      hint={props.helpText}
      note={noteOf(shown)}
      error={error}
      isDisabled={props.disabled ?? false}
      isBusy={isBusy}
      placeholder={props.placeholder ?? "Search"}
      words={words ?? one?.label ?? ""}
      onWords={(words) => {
        setWords(words);
        look(words);
        if (words === "" && !isMultiple) onChange([]);
      }}
      onClose={() => setWords(undefined)}
      offers={results.map((result) => ({
        key: result.value,
        isChosen: draft.some(({ value }) => value === result.value),
        content: <OptionText option={result} />,
      }))}
      onChoose={choose}
    >
      {isMultiple && draft.length > 0 && (
        <ul className={style.found} aria-label="Chosen">
          {draft.map(({ value, label }) => (
            <li key={value}>
              {label}
              <Button
                kind="quiet"
                icon="cross"
                aria-label={`Remove ${label}`}
                onClick={() => onChange(draft.filter((other) => other.value !== value))}
              />
            </li>
          ))}
        </ul>
      )}
    </Combobox>
  );
}

/** What was found last stays until what is found next is there. */
function useResults(shown: Shown<Props>, ask: InputProps<Props, Draft>["ask"]) {
  const [isBusy, setBusy] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const newest = useRef("");
  useEffect(() => () => clearTimeout(timer.current), []);
  const look = (queryTerm: string) => {
    newest.current = queryTerm;
    clearTimeout(timer.current);
    setBusy(true);
    timer.current = setTimeout(() => {
      ask({ queryTerm })
        .catch(() => {})
        .finally(() => {
          if (newest.current === queryTerm) setBusy(false);
        });
    }, REST_MS);
  };
  return { results: shown.props.results, isBusy, look };
}

function foundOf(shown: Shown<Props>, values: readonly unknown[]): Draft {
  return values
    .filter((value) => typeof value === "string")
    .map((value) => {
      const result = shown.props.results.find((result) => result.value === value);
      return { value, label: result ? cellWords(result.label) : value };
    });
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : value == null ? [] : [value]);

export const search: Input<Props, Draft> = {
  Field: Search,
  begin: (shown) => foundOf(shown, shown.isMultiple ? shown.defaultValues : listOf(shown.props.defaultValue)),
  answer: (draft, { isMultiple, isOptional }) => {
    if (draft.length === 0) return isMultiple && !isOptional ? [] : null;
    return isMultiple ? draft.map(({ value }) => value) : draft[0]?.value;
  },
  draftOf: (value, shown) => foundOf(shown, listOf(value)),
  words: (value, shown) => {
    const found = foundOf(shown, listOf(value));
    // What was found before is no longer told of.
    const isNamed = found.every(({ value, label }) => value !== label);
    return isNamed ? found.map(({ label }) => label).join(", ") : `${found.length} chosen`;
  },
};
