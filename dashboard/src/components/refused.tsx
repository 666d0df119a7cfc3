/** Why the server did not take what was sent. */

import { Problem } from "../api/http.ts";
import { Icon } from "./icon.tsx";
import style from "./refused.module.css";

/** Led in by what did not come of it, where that is not plain. */
export function Refused({ error, lead }: { error: Error | null; lead?: string }) {
  if (!error) return null;
  return (
    <p role="alert" className={style.refused} data-pw="form-error">
      <Icon name="warning" />
      <span>
        {lead} {error.message}
        {error instanceof Problem && error.hint && <small>{error.hint}</small>}
      </span>
    </p>
  );
}
