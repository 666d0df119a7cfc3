/** What was done, said in passing, with the way back where there is one. */

import { createContext, type ReactNode, useCallback, useContext, useMemo, useRef, useState } from "react";
import { Problem } from "../api/http.ts";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";
import style from "./toast.module.css";

const SHOWN_MS = 6_000;
const SHOWN_MAX = 3;

export interface Toast {
  words: string;
  hint?: string | undefined;
  kind?: "done" | "bad";
  undo?: () => void;
}

const Say = createContext<(toast: Toast) => void>(() => {});

export function Toasts({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<(Toast & { id: number })[]>([]);
  const next = useRef(0);
  const remove = useCallback((id: number) => setToasts((all) => all.filter((toast) => toast.id !== id)), []);
  const say = useCallback(
    (toast: Toast) => {
      const id = next.current++;
      setToasts((all) => [...all.slice(1 - SHOWN_MAX), { ...toast, id }]);
      setTimeout(() => remove(id), toast.undo || toast.kind === "bad" ? 2 * SHOWN_MS : SHOWN_MS);
    },
    [remove],
  );
  return (
    <Say value={say}>
      {children}
      <div className={style.toasts} role="status" aria-live="polite">
        {toasts.map(({ id, words, hint, kind = "done", undo }) => (
          <div key={id} className={`${style.toast} ${style[kind]}`}>
            <Icon name={kind === "bad" ? "warning" : "check"} />
            <p>
              {words}
              {hint && <small>{hint}</small>}
            </p>
            {undo && (
              <Button
                onClick={() => {
                  remove(id);
                  undo();
                }}
              >
                Undo
              </Button>
            )}
            <Button kind="quiet" aria-label="Dismiss" icon="cross" onClick={() => remove(id)} />
          </div>
        ))}
      </div>
    </Say>
  );
}

export function useToast() {
  const say = useContext(Say);
  return useMemo(
    () => ({
      done: (words: string, undo?: () => void) => say(undo ? { words, undo } : { words }),
      failed: (error: Error) =>
        say({ words: error.message, hint: error instanceof Problem ? error.hint : undefined, kind: "bad" }),
    }),
    [say],
  );
}
