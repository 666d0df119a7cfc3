/** What an execution came to: what it answered, what it wrote, and why it failed where it did. */

import type { Execution, Json } from "../../api/types.ts";
import { LinkButton } from "../../components/button.tsx";
import { Headers, Part } from "../../components/facts.tsx";
import { Still } from "../../components/live_value.tsx";
import { Printed } from "../../components/printed.tsx";
import { bytes } from "../../components/units.ts";
import style from "./execution.module.css";

export function Came({ execution }: { execution: Execution }) {
  const { status, code, error, logs, errors, headers } = execution;
  return (
    <>
      {(code ?? error) && (
        <section className={style.failed} aria-label="Error">
          <p>{error ?? code}</p>
          {error && code && <code>{code}</code>}
        </section>
      )}
      {status === "completed" && (
        <Part title="Body">
          <Body of={execution} />
        </Part>
      )}
      {errors && (
        <Part title="Errors">
          <Printed label="Errors" text={errors} isBad />
        </Part>
      )}
      <Part title="Logs">
        {logs ? <Printed label="Logs" text={logs} /> : <p className={style.soft}>It wrote nothing.</p>}
      </Part>
      {Object.keys(headers).length > 0 && (
        <Part title="Headers">
          <Headers headers={headers} />
        </Part>
      )}
    </>
  );
}

function Body({ of: { body, bodyEncoding } }: { of: Execution }) {
  if (body === "") return <p className={style.soft}>It came without one.</p>;
  if (bodyEncoding === "base64") return <Binary base64={body} />;
  const value = treeOf(body);
  return value === undefined ? <Printed label="Body" text={body} /> : <Still label="Body" value={value} root="body" />;
}

function Binary({ base64 }: { base64: string }) {
  const size = Math.floor((base64.replace(/=+$/, "").length * 3) / 4);
  return (
    <p className={style.binary}>
      {bytes(size)} that are not text
      <LinkButton icon="download" href={`data:application/octet-stream;base64,${base64}`} download="body">
        Download
      </LinkButton>
    </p>
  );
}

/** What is worth a tree. */
function treeOf(body: string): Json | undefined {
  if (!/^\s*[[{]/.test(body)) return undefined;
  try {
    return JSON.parse(body) as Json;
  } catch {
    return undefined;
  }
}
