/** Makes of a hook's template the request that a person sees before sending it. */

import type { Json } from "../../api/types.ts";

interface Prefilled {
  method: string | undefined;
  /** One a line. */
  headers: string | undefined;
  body: string;
}

/** What is to be filled in stands there by its name; of what is to be chosen, the first. */
export function prefill(template: Json): Prefilled {
  const whole = filled(template);
  const isRequest = whole !== null && typeof whole === "object" && !Array.isArray(whole);
  if (!isRequest) return { method: undefined, headers: undefined, body: text(whole) };
  const { method, headers, body } = whole;
  const isHeaders = headers !== null && typeof headers === "object" && !Array.isArray(headers);
  return {
    method: typeof method === "string" ? method.toUpperCase() : undefined,
    headers: isHeaders
      ? Object.entries(headers)
          .map(([name, value]) => `${name}: ${text(value)}`)
          .join("\n")
      : undefined,
    body: body === undefined ? (method === undefined && headers === undefined ? text(whole) : "") : text(body),
  };
}

function filled(value: Json): Json {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(filled);
  if (value.field === "input" && typeof value.name === "string") return `(${value.name})`;
  if (value.field === "select" && Array.isArray(value.options)) return value.options[0] ?? null;
  return Object.fromEntries(Object.entries(value).map(([name, value]) => [name, filled(value)]));
}

function text(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
