/** Sends a request to the function and shows what it answers. */

import { execute, executions, userFunction } from "../../api/functions.ts";
import { useChange } from "../../api/queries.ts";
import type { UserFunction } from "../../api/types.ts";
import { useCommands } from "../../commands.ts";
import { Button } from "../../components/button.tsx";
import { CopyButton } from "../../components/copy.tsx";
import { Card, Section } from "../../components/page.tsx";
import { useToast } from "../../components/toast.tsx";
import { Came } from "./execution.tsx";
import { ExecutionState, StatusCode, startOf, tookOf } from "./execution_status.tsx";
import { RequestFields, useRequest } from "./request.tsx";
import style from "./send.module.css";

export function Send({ of }: { of: UserFunction }) {
  const toast = useToast();
  const draft = useRequest(of);
  const send = useChange(
    () => execute(of.id, draft.request),
    [executions(of.id).queryKey, userFunction(of.id).queryKey],
  );
  const go = () => {
    if (!send.isPending) send.mutate(undefined, { onError: toast.failed });
  };
  useCommands([{ name: "Send request", run: go }]);
  const answer = send.data;
  return (
    <Section title="Send a request">
      <Card>
        <form
          className={style.form}
          aria-label="Send a request"
          onSubmit={(event) => {
            event.preventDefault();
            go();
          }}
        >
          <RequestFields of={draft} />
          <div className={style.tools}>
            <CopyButton text={draft.curl} label="Copy as curl">
              curl
            </CopyButton>
            <Button type="submit" kind="main" icon="send" isBusy={send.isPending}>
              Send request
            </Button>
          </div>
        </form>
        <div role="status" className={style.status}>
          {send.isPending && <span className={style.soft}>The function is at work…</span>}
          {answer && !send.isPending && (
            <>
              <ExecutionState of={answer} />
              <StatusCode of={answer} />
              <span className={style.soft}>{`${tookOf(answer)}, ${startOf(answer)} start`}</span>
            </>
          )}
        </div>
        {answer && !send.isPending && (
          <section className={style.answer} aria-label="Answer">
            <Came execution={answer} />
          </section>
        )}
      </Card>
    </Section>
  );
}
