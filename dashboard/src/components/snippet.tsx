/** Several lines of code to take along. */

import { CopyButton } from "./copy.tsx";
import style from "./snippet.module.css";

export function Snippet({ text, label }: { text: string; label: string }) {
  return (
    <div className={style.snippet}>
      <pre tabIndex={0} role="group" aria-label={label}>
        <code>{text}</code>
      </pre>
      <span className={style.copy}>
        <CopyButton text={text} label={`Copy ${label}`} />
      </span>
    </div>
  );
}
