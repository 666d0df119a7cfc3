/** One of a few ways to look at the same thing: radio buttons that stand in a row. */

import { useId } from "react";
import style from "./segments.module.css";

interface Props<Name extends string> {
  label: string;
  shown: Name;
  onShow: (name: Name) => void;
  segments: readonly { name: Name; words: string }[];
}

export function Segments<Name extends string>({ label, shown, onShow, segments }: Props<Name>) {
  const group = useId();
  return (
    <fieldset className={style.segments}>
      <legend className="unseen">{label}</legend>
      {segments.map(({ name, words }) => (
        <label key={name} className={style.segment}>
          <input
            type="radio"
            className="unseen"
            name={group}
            value={name}
            checked={name === shown}
            onChange={() => onShow(name)}
          />
          {words}
        </label>
      ))}
    </fieldset>
  );
}
