/** What this is, said once: three steps that tick themselves off, until somebody has taken or dismissed them. */

import { useState } from "react";
import type { Hook } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Icon } from "../../components/icon.tsx";
import style from "./welcome.module.css";

const DISMISSED = "everfold-welcomed";

export function Welcome({ hook }: { hook: Hook }) {
  // Who has taken all steps before needs none of them; who takes the last one now sees it ticked.
  const [isDismissed, setDismissed] = useState(() => localStorage.getItem(DISMISSED) !== null || isTaken(hook));
  if (isDismissed) return null;
  const dismiss = () => {
    localStorage.setItem(DISMISSED, "yes");
    setDismissed(true);
  };
  const isPublished = isTaken(hook);
  const steps = [
    { words: "Send a request", isDone: hook.requestCount > 0 },
    { words: "Change the reducer", isDone: isPublished || hook.draft.code !== hook.published?.code },
    { words: "Publish: all is folded again", isDone: isPublished },
  ];
  return (
    <aside className={style.welcome} aria-label="First steps">
      <p>
        <b>An endpoint that never forgets.</b> Its reducer folds every request into one state.
      </p>
      <ol>
        {steps.map(({ words, isDone }, index) => (
          <li key={words} className={isDone ? style.done : undefined}>
            <span className={style.mark}>{isDone ? <Icon name="check" /> : index + 1}</span>
            {words}
            {isDone && <span className="unseen"> (done)</span>}
          </li>
        ))}
      </ol>
      <Button kind="quiet" icon="cross" aria-label="Dismiss the first steps" onClick={dismiss} />
    </aside>
  );
}

function isTaken({ published }: Hook): boolean {
  return published !== null && published.version > 1;
}
