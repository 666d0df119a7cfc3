/** A request to a function, as a person writes it: sent at once, or left for later. */

import { useState } from "react";
import type { FunctionRequest } from "../../api/functions.ts";
import type { UserFunction } from "../../api/types.ts";
import { curlOf, headersOf } from "../../components/curl.ts";
import { Field } from "../../components/field.tsx";
import style from "./request.module.css";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const FIRST_BODY = '{"name": "Ada"}';
const JSON_TYPE = "content-type: application/json";

export function useRequest({ url }: UserFunction) {
  const [method, setMethod] = useState("GET");
  const [path, setPath] = useState("/");
  const [headers, setHeaders] = useState<string>();
  const [body, setBody] = useState(FIRST_BODY);
  const hasBody = method !== "GET";
  const written = headers ?? (hasBody ? JSON_TYPE : "");
  const whole = path.startsWith("/") ? path : `/${path}`;
  const request: FunctionRequest = {
    method,
    path: whole,
    headers: Object.fromEntries(headersOf(written)),
    ...(hasBody && { body }),
  };
  const curl = curlOf(whole === "/" ? url : url + whole, method, written, hasBody ? body : undefined);
  return { method, setMethod, path, setPath, headers: written, setHeaders, body, setBody, hasBody, request, curl };
}

export function RequestFields({ of }: { of: ReturnType<typeof useRequest> }) {
  return (
    <>
      <div className={style.line}>
        <Field as="select" label="Method" value={of.method} onChange={(event) => of.setMethod(event.target.value)}>
          {METHODS.map((method) => (
            <option key={method}>{method}</option>
          ))}
        </Field>
        <Field
          label="Path"
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
          value={of.path}
          onChange={(event) => of.setPath(event.target.value)}
        />
      </div>
      {of.hasBody && (
        <Field
          as="textarea"
          label="Body"
          rows={4}
          spellCheck={false}
          value={of.body}
          onChange={(event) => of.setBody(event.target.value)}
        />
      )}
      <Field
        as="textarea"
        label="Headers"
        note="one a line"
        rows={2}
        spellCheck={false}
        placeholder="accept: text/plain"
        value={of.headers}
        onChange={(event) => of.setHeaders(event.target.value)}
      />
    </>
  );
}
