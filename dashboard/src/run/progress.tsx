/** How far a run is, while it is at work. */

import type { Loading } from "../api/types.ts";
import style from "./progress.module.css";

export function Progress({ loading }: { loading: Loading | null }) {
  const label = loading?.label ?? loading?.title ?? "Working";
  const max = loading?.itemsInQueue ?? undefined;
  const done = loading?.itemsCompleted ?? 0;
  const words = max === undefined ? undefined : `Completed ${done} of ${max}`;
  return (
    <div className={style.progress}>
      <p className={style.head}>
        <span className={style.label}>{label}</span>
        {words && <span className={style.words}>{words}</span>}
      </p>
      <div
        role="progressbar"
        aria-label={label}
        aria-valuemin={max === undefined ? undefined : 0}
        aria-valuemax={max}
        aria-valuenow={max === undefined ? undefined : done}
        aria-valuetext={words}
        className={style.bar}
      >
        <div
          className={max === undefined ? style.unknown : style.known}
          style={max === undefined ? undefined : { width: `${max > 0 ? Math.min(100, (done / max) * 100) : 100}%` }}
        />
      </div>
      {loading?.description && <p className={style.description}>{loading.description}</p>}
    </div>
  );
}
