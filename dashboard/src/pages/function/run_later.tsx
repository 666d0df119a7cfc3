/** A request that nobody waits for: kept, and sent to the function as soon as there is room, or at its time. */

import { type FormEvent, useState } from "react";
import { executeLater, executions } from "../../api/functions.ts";
import { useChange } from "../../api/queries.ts";
import type { UserFunction } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { ownTimezone } from "../../components/recurrence.ts";
import { wholeOf } from "../../components/time.tsx";
import { useToast } from "../../components/toast.tsx";
import { RequestFields, useRequest } from "./request.tsx";
import style from "../../components/form.module.css";
import { Refused } from "../../components/refused.tsx";

interface Props {
  of: UserFunction;
  isOpen: boolean;
  onClose: () => void;
}

export function RunLater({ of, isOpen, onClose }: Props) {
  return (
    <Dialog title="Run later" isOpen={isOpen} onClose={onClose}>
      <Form of={of} onClose={onClose} />
    </Dialog>
  );
}

function Form({ of, onClose }: Omit<Props, "isOpen">) {
  const toast = useToast();
  const draft = useRequest(of);
  const [at, setAt] = useState("");
  const later = useChange(
    () => executeLater(of.id, { ...draft.request, ...(at !== "" && { scheduledAt: new Date(at).getTime() }) }),
    [executions(of.id).queryKey],
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (later.isPending) return;
    later.mutate(undefined, {
      onSuccess: () => {
        toast.done(at === "" ? "It is kept, and runs next." : `It runs on ${wholeOf(new Date(at).getTime())}.`);
        onClose();
      },
    });
  };
  return (
    <form className={style.form} onSubmit={submit}>
      <RequestFields of={draft} />
      <Field
        type="datetime-local"
        label="When"
        note="optional"
        hint={`By the clocks of ${ownTimezone()}. Left empty, it runs as soon as there is room.`}
        value={at}
        onChange={(event) => setAt(event.target.value)}
      />
      <Refused error={later.error} />
      <div className={style.answers}>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" kind="main" icon="clock" isBusy={later.isPending}>
          Run later
        </Button>
      </div>
    </form>
  );
}
