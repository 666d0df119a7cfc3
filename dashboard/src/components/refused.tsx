/** Why the server did not take what was filled in. */

import { Problem } from "../api/http.ts";
import style from "./refused.module.css";

export function Refused({ error }: { error: Error | null }) {
  if (!error) return null;
  const hint = error instanceof Problem ? error.hint : undefined;
  return (
    <p role="alert" className={style.refused} data-pw="form-error">
      {[error.message, hint].filter(Boolean).join(" ")}
    </p>
  );
}
