/** Asks before what cannot be undone; for the worst of it, the name has to be typed. */

import { type ReactNode, useState } from "react";
import { Button } from "./button.tsx";
import style from "./confirm.module.css";
import { Dialog } from "./dialog.tsx";
import { Field } from "./field.tsx";

interface Props {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  /** What the button that does it says. */
  verb: string;
  onConfirm: () => void;
  isBusy?: boolean;
  /** What has to be typed first. */
  typed?: string;
  children: ReactNode;
}

export function Confirm({ title, isOpen, onClose, ...rest }: Props) {
  return (
    <Dialog title={title} isOpen={isOpen} onClose={onClose}>
      <Question onClose={onClose} {...rest} />
    </Dialog>
  );
}

/** Comes and goes with the dialog, so that what was typed once is not typed already. */
function Question({ onClose, verb, onConfirm, isBusy, typed, children }: Omit<Props, "title" | "isOpen">) {
  const [words, setWords] = useState("");
  const isSure = typed === undefined || words.trim() === typed.trim();
  return (
    <form
      className={style.question}
      onSubmit={(event) => {
        event.preventDefault();
        if (isSure && !isBusy) onConfirm();
      }}
    >
      <div className={style.words}>{children}</div>
      {typed !== undefined && (
        <Field
          label={`Type “${typed}” to confirm`}
          autoComplete="off"
          spellCheck={false}
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
      )}
      <div className={style.answers}>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" kind="danger" disabled={!isSure} isBusy={isBusy}>
          {verb}
        </Button>
      </div>
    </form>
  );
}
