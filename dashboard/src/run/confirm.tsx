/** Asks for a yes or a no, above everything else; who closes it reads on, and answers later. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Away, Problem } from "../api/http.ts";
import * as queries from "../api/queries.ts";
import type { Question } from "../api/types.ts";
import { Button } from "../components/button.tsx";
import { Dialog } from "../components/dialog.tsx";
import { useToast } from "../components/toast.tsx";
import { shownOf } from "./component.ts";
import style from "./confirm.module.css";
import type { Sent } from "./form.tsx";

interface Props {
  question: Question;
  onSend: (sent: Sent) => Promise<void>;
  isSending: boolean;
}

export const isConfirm = ({ toRender }: Question) =>
  toRender.length === 1 && ["CONFIRM", "CONFIRM_IDENTITY"].includes(toRender[0]?.methodName ?? "");

export function Confirm({ question, onSend, isSending }: Props) {
  const [isOpen, setOpen] = useState(true);
  const [error, setError] = useState<string>();
  const component = question.toRender[0];
  if (!component) return null;
  const { label, props, method } = shownOf(component);
  const { helpText } = props as { helpText?: string };
  const send = (isSure: boolean) => {
    if (isSending) return;
    setError(undefined);
    onSend({ values: [isSure] }).then(
      () => setOpen(false),
      (error: Error) => setError(wordsOf(error)),
    );
  };
  const refusal = error ?? component.validationErrorMessage ?? question.validationErrorMessage;
  return (
    <>
      <div className={style.card}>
        <p className={style.title}>{label}</p>
        <Button kind="main" onClick={() => setOpen(true)}>
          Answer
        </Button>
      </div>
      <Dialog title={label} isOpen={isOpen} onClose={() => setOpen(false)}>
        <div className={style.question}>
          {helpText && <p className={style.words}>{helpText}</p>}
          {refusal && (
            <p className={style.error} data-pw="form-error" role="alert">
              {refusal}
            </p>
          )}
          {method === "CONFIRM_IDENTITY" ? (
            <Identity onSend={send} isSending={isSending} />
          ) : (
            <div className={style.answers}>
              <Button isBusy={isSending} onClick={() => send(false)}>
                Cancel
              </Button>
              <Button kind="main" isBusy={isSending} onClick={() => send(true)}>
                Confirm
              </Button>
            </div>
          )}
        </div>
      </Dialog>
    </>
  );
}

function wordsOf(error: Error): string {
  if (error instanceof Away) return "The server does not answer. Try again in a moment.";
  return [error.message, error instanceof Problem && error.hint].filter(Boolean).join(" ");
}

/** Who looks on shows that they still read the account's mail; a guest has none. */
function Identity({ onSend, isSending }: { onSend: (isSure: boolean) => void; isSending: boolean }) {
  const { data: me } = useQuery(queries.me);
  const toast = useToast();
  const ask = queries.useChange(queries.askForLink);
  const { email } = me ?? {};
  return (
    <>
      {email ? (
        <p className={style.words}>
          You are signed in as <strong>{email}</strong>. If it was a while ago, get a link, follow it, and confirm here.
        </p>
      ) : (
        <p className={style.words}>Only who is signed in can confirm who they are. As a guest you can only cancel.</p>
      )}
      <div className={style.answers}>
        {email && (
          <Button
            kind="quiet"
            isBusy={ask.isPending}
            onClick={() =>
              ask.mutate(email, {
                onSuccess: () => toast.done(`A link is on its way to ${email}.`),
                onError: toast.failed,
              })
            }
          >
            Send me a link
          </Button>
        )}
        <Button isBusy={isSending} onClick={() => onSend(false)}>
          Cancel
        </Button>
        {email && (
          <Button kind="main" isBusy={isSending} onClick={() => onSend(true)}>
            Confirm
          </Button>
        )}
      </div>
    </>
  );
}
