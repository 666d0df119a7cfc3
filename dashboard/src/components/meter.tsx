/** How much of something is taken or done, as a bar and in words. */

import { useId } from "react";
import style from "./meter.module.css";

interface Props {
  label: string;
  held: number;
  max: number;
  words: string;
  isTight?: boolean;
}

export function Meter({ label, held, max, words, isTight = false }: Props) {
  const id = useId();
  const percent = max > 0 ? Math.min(100, (held / max) * 100) : 0;
  return (
    <div className={`${style.meter} ${isTight ? style.tight : ""}`}>
      <span id={id}>{label}</span>
      <span className={style.words}>{words}</span>
      <div
        role="meter"
        aria-labelledby={id}
        aria-valuemin={0}
        aria-valuemax={max}
        aria-valuenow={held}
        aria-valuetext={words}
        className={style.bar}
      >
        <div style={{ width: `${percent}%` }} />
      </div>
    </div>
  );
}
