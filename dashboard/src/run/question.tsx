/** The open question of a run, and what becomes of its answer. */

import { useState } from "react";
import { answerRun } from "../api/runs.ts";
import type { Question as Asked } from "../api/types.ts";
import { Confirm, isConfirm } from "./confirm.tsx";
import { Form, type Sent } from "./form.tsx";
import style from "./question.module.css";
import { encoded } from "./superjson.ts";

interface Props {
  runId: string;
  question: Asked;
  /** Around each answer: says whose it is, and takes up the refusal of who came second. */
  onAnswer: (key: string, answer: () => Promise<unknown>) => Promise<void>;
}

export function Question({ runId, question, onAnswer }: Props) {
  const [taken, setTaken] = useState<Asked>();
  const [isAsking, setAsking] = useState(false);
  const onSend = async ({ values, choice }: Sent) => {
    const { json, meta } = encoded(values);
    const answer = { key: question.key, values: json, ...(meta ? { valuesMeta: meta } : {}), choice };
    setAsking(true);
    try {
      await onAnswer(question.key, () => answerRun(runId, answer));
      setTaken(question);
    } finally {
      setAsking(false);
    }
  };
  // It is taken as soon as the server says so; until the next question is here, this one stands still.
  const shared = { question, onSend, isSending: isAsking || taken === question };
  return (
    <div className={style.card} aria-busy={shared.isSending || undefined}>
      {isConfirm(question) ? <Confirm {...shared} /> : <Form runId={runId} {...shared} />}
    </div>
  );
}
