/** Some of several. */

import { useState } from "react";
import { Button } from "../../components/button.tsx";
import { Field } from "../../components/field.tsx";
import type { Common, Input, InputProps } from "../component.ts";
import style from "./choices.module.css";
import { Frame } from "./frame.tsx";
import { between, noteOf } from "./note.ts";
import { chosen, type Option, OptionText, optionWords, placeOf } from "./option.tsx";

interface Props extends Common {
  options: Option[];
  defaultValue?: Option[] | null;
  minSelections?: number;
  maxSelections?: number;
}

/** More can be searched in. */
const UNSEARCHED_MAX = 12;

/** Places among the options. */
type Draft = number[];

function SelectMultiple({ shown, draft, onChange, error, isReadOnly }: InputProps<Props, Draft>) {
  const { options, helpText, disabled, minSelections, maxSelections } = shown.props;
  const [words, setWords] = useState("");
  const sought = words.trim().toLowerCase();
  const places = options.map((_, place) => place);
  const offered = isReadOnly
    ? draft
    : places.filter((place) => {
        const option = options[place];
        return option && optionWords(option).toLowerCase().includes(sought);
      });
  const turn = (place: number, isIn: boolean) =>
    onChange(isIn ? [...draft, place].sort((one, other) => one - other) : draft.filter((other) => other !== place));
  return (
    <Frame
      label={shown.label}
      role="group"
      hint={helpText}
      note={noteOf(shown, between(minSelections, maxSelections))}
      error={error}
    >
      {options.length > UNSEARCHED_MAX && !isReadOnly && (
        <Field
          label="Search options"
          isLabelUnseen
          type="search"
          placeholder={`Search ${options.length} options`}
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
      )}
      <div className={style.choices}>
        {offered.map((place) => {
          const option = options[place];
          return (
            option && (
              <label key={place} className={style.choice}>
                <input
                  type="checkbox"
                  checked={draft.includes(place)}
                  disabled={isReadOnly || disabled}
                  onChange={(event) => turn(place, event.target.checked)}
                />
                <OptionText option={option} />
              </label>
            )
          );
        })}
        {offered.length === 0 && <p className={style.none}>{isReadOnly ? "None" : "No results found"}</p>}
      </div>
      {!isReadOnly && (
        <div className={style.foot}>
          <span role="status">{draft.length} selected</span>
          {draft.length > 0 && (
            <Button kind="quiet" onClick={() => onChange([])}>
              Select none
            </Button>
          )}
        </div>
      )}
    </Frame>
  );
}

const placesOf = (options: readonly Option[], values: unknown): Draft =>
  Array.isArray(values) ? values.map((value) => placeOf(options, value)).filter((place) => place !== null) : [];

export const selectMultiple: Input<Props, Draft> = {
  Field: SelectMultiple,
  begin: ({ props }) => placesOf(props.options, props.defaultValue),
  answer: (draft, { props, isOptional }) => {
    if (isOptional && draft.length === 0) return null;
    return draft.flatMap((place) => props.options[place] ?? []).map(chosen);
  },
  draftOf: (value, { props }) => placesOf(props.options, value),
  words: (value) => (Array.isArray(value) ? value.map((option: Option) => optionWords(option)).join(", ") : ""),
};
