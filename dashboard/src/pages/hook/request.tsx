/** One request, whole: what came, what it changed, what the code said to it. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import * as queries from "../../api/queries.ts";
import type { CodeError, Hook, RequestWhole } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { ConsoleLines } from "../../components/console_lines.tsx";
import { CopyButton } from "../../components/copy.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { Facts, Headers, Part } from "../../components/facts.tsx";
import { Still } from "../../components/live_value.tsx";
import { Patch } from "../../components/patch.tsx";
import { Status } from "../../components/status.tsx";
import { count, Time } from "../../components/time.tsx";
import { useToast } from "../../components/toast.tsx";
import style from "./request.module.css";
import type { Moment } from "./time.tsx";

interface Props {
  hook: Hook;
  seq: number;
  moment: Moment;
  onOpen: (seq: number | undefined) => void;
}

export function RequestSheet({ hook, seq, moment, onOpen }: Props) {
  const toast = useToast();
  const begin = hook.lastSeq - hook.requestCount;
  const { data: request, error } = useQuery({ ...queries.request(hook.id, seq), placeholderData: keepPreviousData });
  const resent = queries.useChange(() => queries.resend(hook.id, seq));
  const resend = () =>
    resent.mutate(undefined, {
      onError: toast.failed,
      onSuccess: (made) => toast.done(`Sent again, as request ${count(made.seq)}.`),
    });
  return (
    <Dialog title={`Request ${count(seq)}`} isOpen isSheet onClose={() => onOpen(undefined)}>
      <div className={style.tools}>
        <Button icon="left" disabled={seq <= begin + 1} onClick={() => onOpen(seq - 1)}>
          Earlier
        </Button>
        <Button icon="right" disabled={seq >= hook.lastSeq} onClick={() => onOpen(seq + 1)}>
          Later
        </Button>
        <span className={style.room} />
        <Button
          icon="clock"
          onClick={() => {
            moment.go(seq >= hook.lastSeq ? undefined : seq);
            onOpen(undefined);
          }}
        >
          Travel here
        </Button>
        <Button icon="restore" onClick={resend} isBusy={resent.isPending}>
          Resend
        </Button>
      </div>
      {error && <p role="alert">{error.message}</p>}
      {request && <Whole hook={hook} request={request} />}
    </Dialog>
  );
}

function Whole({ hook, request }: { hook: Hook; request: RequestWhole }) {
  const { seq, method, path, queryString, createdAt, status, error, hash, duplicateOf, headers, body, console } =
    request;
  const begin = hook.lastSeq - hook.requestCount;
  const { data: patch } = useQuery({ ...queries.diff(hook.id, seq), enabled: status === "folded" });
  const { data: before } = useQuery({
    ...queries.request(hook.id, seq - 1),
    enabled: status === "folded" && seq - 1 > begin,
  });
  const address = (path || "/") + (queryString && `?${queryString}`);
  return (
    <>
      <Facts
        facts={[
          [
            "Status",
            <span key="status" className={style.status}>
              <Status status={status} hasError={error !== null} />
              {duplicateOf !== undefined && <> of request {count(duplicateOf)}</>}
            </span>,
          ],
          ["Arrived", <Time key="arrived" at={createdAt} />],
          ["Sent as", <code key="sent">{`${method} ${address}`}</code>],
          [
            "Receipt",
            <span key="receipt" className={style.receipt}>
              <code title={hash}>{hash.slice(0, 16)}…</code>
              <CopyButton text={hash} label="Copy the hash" />
            </span>,
          ],
        ]}
      />
      {error && <Failed error={error} code={hook.published?.code} />}
      <Part title="Body">
        {body === "" ? (
          <p className={style.nothing}>It came without one.</p>
        ) : typeof body === "string" ? (
          <pre className={style.text}>{body}</pre>
        ) : (
          <Still label="Body" value={body} root="request.body" />
        )}
      </Part>
      {status === "folded" && (
        <Part title="Diff">{patch && <Patch label="Diff" patch={patch} before={before ? before.state : null} />}</Part>
      )}
      <Part title="After it">
        {status === "pending" ? (
          <p className={style.nothing}>Not folded yet.</p>
        ) : (
          <Still label="After it" value={request.state} />
        )}
      </Part>
      {console.length > 0 && (
        <Part title="Console">
          <ConsoleLines lines={console} />
        </Part>
      )}
      <Part title="Headers">
        <Headers headers={headers} />
      </Part>
    </>
  );
}

/** Lines around the place of an error. */
const AROUND = 2;

/** An error, and the owner's own lines that it came from. */
function Failed({ error, code }: { error: CodeError; code: string | undefined }) {
  const place = /:(\d+):(\d+)/.exec(error.stack);
  const line = place ? Number(place[1]) : undefined;
  const lines = code?.split("\n") ?? [];
  const first = line === undefined ? 0 : Math.max(1, line - AROUND);
  const near = line === undefined || line > lines.length ? [] : lines.slice(first - 1, line + AROUND);
  return (
    <section className={style.failed} aria-label="Error">
      <p>
        <b>{error.name}</b>: {error.message}
      </p>
      {near.length > 0 && (
        <pre className={style.frame}>
          {near.map((text, index) => (
            <span key={first + index} className={first + index === line ? style.culprit : undefined}>
              <span className={style.lineNumber}>{first + index}</span>
              <span>{text}</span>
            </span>
          ))}
        </pre>
      )}
      {error.stack && (
        <details>
          <summary>Stack</summary>
          <pre>{error.stack}</pre>
        </details>
      )}
    </section>
  );
}
