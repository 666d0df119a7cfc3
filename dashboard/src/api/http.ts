/** One way to call the server: JSON in, JSON out, a `Problem` where it said no, `Away` where it said nothing. */

import { entered, recover } from "./session.ts";
import type { Json } from "./types.ts";

/** RFC 9457, as the server writes it. */
export class Problem extends Error {
  override name = "Problem";
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly hint: string | undefined;
  /** Whatever else it says, such as the line and column of a syntax error. */
  readonly more: Record<string, Json>;

  constructor(status: number, body: Record<string, Json>) {
    super(String(body.detail ?? body.title ?? `The server answered ${status}.`));
    this.status = status;
    this.code = String(body.code ?? "");
    this.title = String(body.title ?? "");
    this.hint = typeof body.hint === "string" ? body.hint : undefined;
    this.more = body;
  }
}

/** Nothing answers: the server is being restarted, or the network is away. */
export class Away extends Error {
  override name = "Away";
  override message = "The server does not answer. Trying again.";
}

type Method = "GET" | "POST" | "PUT" | "DELETE";

export async function call<T>(method: Method, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  await entered();
  const response = await ask(method, path, body, signal);
  if (response.status !== 401) return answer(response);
  await recover();
  return answer(await ask(method, path, body, signal));
}

/** Without the second try of a caller whose sign-in ran out. */
export async function callOnce<T>(method: Method, path: string, body?: unknown): Promise<T> {
  return answer(await ask(method, path, body));
}

/** A file, which may be large: told how much of it is sent, from 0 to 1. `fetch` does not tell. */
export async function upload<T>(
  path: string,
  sent: File | FormData,
  onSent: (share: number) => void,
  signal: AbortSignal,
): Promise<T> {
  // A form says itself what parts it.
  const type = sent instanceof File ? "application/zstd" : undefined;
  const post = () => send("POST", path, sent, type, onSent, signal);
  const response = await post();
  if (response.status !== 401) return answer(response);
  await recover();
  return answer(await post());
}

/** Lays a file where the address says, which lets in whoever knows it. */
export async function put(address: string, file: File, onSent: (share: number) => void, signal: AbortSignal) {
  const type = file.type || "application/octet-stream";
  await answer<void>(await send("PUT", address, file, type, onSent, signal));
}

function send(
  method: Method,
  address: string,
  sent: File | FormData,
  type: string | undefined,
  onSent: (share: number) => void,
  signal: AbortSignal,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const sender = new XMLHttpRequest();
    sender.open(method, address);
    if (type) sender.setRequestHeader("content-type", type);
    sender.upload.onprogress = ({ loaded, total }) => onSent(total > 0 ? loaded / total : 0);
    sender.onload = () => resolve(new Response(sender.responseText, { status: sender.status }));
    sender.onerror = () => reject(new Away());
    sender.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => sender.abort());
    sender.send(sent);
  });
}

async function ask(method: Method, path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  const request: RequestInit = { method, credentials: "same-origin" };
  if (signal) request.signal = signal;
  if (body !== undefined) {
    request.headers = { "content-type": "application/json" };
    request.body = JSON.stringify(body);
  }
  try {
    const response = await fetch(path, request);
    if (response.status === 502 || response.status === 504) throw new Away();
    return response;
  } catch (error) {
    if (signal?.aborted || error instanceof Away) throw error;
    throw new Away();
  }
}

async function answer<T>(response: Response): Promise<T> {
  const text = await response.text().catch(() => {
    throw new Away();
  });
  const json = parsed(text);
  if (!response.ok) throw new Problem(response.status, (json ?? {}) as Record<string, Json>);
  return json as T;
}

function parsed(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return text;
  }
}
