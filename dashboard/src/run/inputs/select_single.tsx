/** One of several: radio buttons where they are few, a list to search in where they are many. */

import { useId, useState } from "react";
import { Button } from "../../components/button.tsx";
import type { Common, Input, InputProps } from "../component.ts";
import style from "./choices.module.css";
import { Combobox } from "./combobox.tsx";
import { Frame } from "./frame.tsx";
import { noteOf } from "./note.ts";
import { chosen, type Option, OptionText, optionWords, placeOf } from "./option.tsx";

interface Props extends Common {
  options: Option[];
  defaultValue?: Option | null;
  searchable?: boolean;
}

/** More are searched in. */
const RADIOS_MAX = 8;
const OFFERED_MAX = 100;

/** The place among the options. */
type Draft = number | null;

function SelectSingle(input: InputProps<Props, Draft>) {
  const { options, searchable } = input.shown.props;
  const isSearched = (searchable || options.length > RADIOS_MAX) && !input.isReadOnly;
  return isSearched ? <Searched {...input} /> : <Radios {...input} />;
}

function Radios({ shown, draft, onChange, error, isReadOnly }: InputProps<Props, Draft>) {
  const group = useId();
  const { options, helpText, disabled } = shown.props;
  // Of what was chosen before, the others are of no interest.
  const offered = isReadOnly && draft !== null ? [draft] : options.map((_, place) => place);
  return (
    <Frame label={shown.label} role="radiogroup" hint={helpText} note={noteOf(shown)} error={error}>
      <div className={style.choices}>
        {offered.map((place) => {
          const option = options[place];
          return (
            option && (
              <label key={place} className={style.choice}>
                <input
                  type="radio"
                  name={group}
                  checked={place === draft}
                  disabled={isReadOnly || disabled}
                  onChange={() => onChange(place)}
                />
                <OptionText option={option} />
              </label>
            )
          );
        })}
      </div>
      {shown.isOptional && draft !== null && !isReadOnly && (
        <Button kind="quiet" className={style.clear} onClick={() => onChange(null)}>
          Clear
        </Button>
      )}
    </Frame>
  );
}

function Searched({ shown, draft, onChange, error }: InputProps<Props, Draft>) {
  const { options, helpText, placeholder, disabled } = shown.props;
  const [words, setWords] = useState<string>();
  const option = draft === null ? undefined : options[draft];
  const sought = words?.trim().toLowerCase() ?? "";
  const found = options
    .map((option, place) => ({ option, place }))
    .filter(({ option }) => `${optionWords(option)} ${option.description ?? ""}`.toLowerCase().includes(sought));
  return (
    <Combobox
      label={shown.label}
      hint={helpText}
      note={noteOf(shown)}
      error={error}
      isDisabled={disabled ?? false}
      placeholder={placeholder ?? `Search ${options.length} options`}
      words={words ?? (option ? optionWords(option) : "")}
      onWords={(words) => {
        setWords(words);
        if (words === "") onChange(null);
      }}
      onClose={() => setWords(undefined)}
      offers={found.slice(0, OFFERED_MAX).map(({ option, place }) => ({
        key: String(place),
        isChosen: place === draft,
        content: <OptionText option={option} />,
      }))}
      more={found.length > OFFERED_MAX ? `${found.length - OFFERED_MAX} more: type to find them` : undefined}
      onChoose={(place) => {
        onChange(Number(place));
        setWords(undefined);
      }}
    />
  );
}

export const selectSingle: Input<Props, Draft> = {
  Field: SelectSingle,
  begin: ({ props }) => placeOf(props.options, props.defaultValue),
  answer: (draft, { props }) => {
    const option = draft === null ? undefined : props.options[draft];
    return option ? chosen(option) : null;
  },
  draftOf: (value, { props }) => placeOf(props.options, value),
  words: (value) => (value ? optionWords(value as Option) : ""),
};
