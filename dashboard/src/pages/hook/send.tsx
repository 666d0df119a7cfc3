/** Sends a request to the hook, as any producer would, or says how to do it with curl. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Away } from "../../api/http.ts";
import * as queries from "../../api/queries.ts";
import type { Hook } from "../../api/types.ts";
import { useCommands } from "../../commands.ts";
import { Button } from "../../components/button.tsx";
import { CopyButton } from "../../components/copy.tsx";
import { curlOf, headersOf } from "../../components/curl.ts";
import { Field } from "../../components/field.tsx";
import { useToast } from "../../components/toast.tsx";
import { prefill } from "./prefill.ts";
import style from "./send.module.css";

const METHODS = ["POST", "PUT", "PATCH", "GET", "DELETE"];
const FIRST_BODY = '{"name": "tea"}';

export function Send({ hook }: { hook: Hook }) {
  const toast = useToast();
  const [method, setMethod] = useState("POST");
  const [body, setBody] = useState(FIRST_BODY);
  const [headers, setHeaders] = useState("content-type: application/json");
  const [answer, setAnswer] = useState<string>();
  const { data: templates } = useQuery(queries.templates(hook.id));
  const key = hook.writeKeys[0];
  const hasBody = method !== "GET";
  const send = queries.useChange(() => write(key ?? "", method, headers, hasBody ? body : undefined));
  const go = () => send.mutate(undefined, { onSuccess: setAnswer, onError: toast.failed });
  useCommands(key ? [{ name: "Send request", run: go }] : []);
  const fill = (name: string) => {
    const chosen = templates?.find((template) => template.name === name);
    if (!chosen) return;
    const filled = prefill(chosen.template);
    if (filled.method) setMethod(filled.method);
    if (filled.headers) setHeaders(filled.headers);
    setBody(filled.body);
  };
  if (!key) return <p className={style.none}>No write key: make one under Keys, and send requests to it.</p>;
  const curl = curlOf(`${location.origin}/write/${key}`, method, headers, hasBody ? body : undefined);
  return (
    <form
      className={style.send}
      aria-label="Send a request"
      onSubmit={(event) => {
        event.preventDefault();
        go();
      }}
    >
      <div className={style.line}>
        <Field
          label="Method"
          isLabelUnseen
          as="select"
          value={method}
          onChange={(event) => setMethod(event.target.value)}
        >
          {METHODS.map((method) => (
            <option key={method}>{method}</option>
          ))}
        </Field>
        {templates && templates.length > 0 && (
          <Field
            label="Template"
            isLabelUnseen
            as="select"
            defaultValue=""
            onChange={(event) => fill(event.target.value)}
          >
            <option value="" disabled>
              Template…
            </option>
            {templates.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </Field>
        )}
        <output className={style.answer}>{answer}</output>
        <CopyButton text={curl} label="Copy as curl">
          curl
        </CopyButton>
        <Button type="submit" kind="main" icon="send">
          Send request
        </Button>
      </div>
      {hasBody && (
        <Field
          label="Body"
          isLabelUnseen
          as="textarea"
          rows={3}
          spellCheck={false}
          value={body}
          onChange={(event) => setBody(event.target.value)}
        />
      )}
      <details>
        <summary>Headers and curl</summary>
        <Field
          label="Headers, one a line"
          as="textarea"
          rows={2}
          spellCheck={false}
          value={headers}
          onChange={(event) => setHeaders(event.target.value)}
        />
        <pre className={style.curl}>{curl}</pre>
      </details>
    </form>
  );
}

/** What it answered, in a line. */
async function write(key: string, method: string, headers: string, body: string | undefined): Promise<string> {
  const request: RequestInit = { method, headers: headersOf(headers), credentials: "omit" };
  if (body !== undefined) request.body = body;
  const response = await fetch(`/write/${key}`, request).catch((error: Error) => {
    // A header that cannot be sent is told as it is.
    throw error.message.includes("fetch") && !error.message.includes("header") ? new Away() : error;
  });
  const text = (await response.text()).slice(0, 200);
  return `${response.status} ${text}`;
}
