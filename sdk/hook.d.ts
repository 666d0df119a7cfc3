/** What code of a hook can call, and what it is given. Types are read by editors alone: they are stripped, never checked. */

/// <reference path="./action.d.ts" />

/** A request as it arrived, and as it is folded. */
interface HookRequest {
  /** A UUID, made when it arrived. */
  readonly id: string;
  /** Its number in the log: 1, 2, 3, … */
  readonly seq: number;
  /** `GET`, `POST`, … */
  readonly method: string;
  /** What stands behind the key in the address. */
  readonly path: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly queryString: string;
  /** Parsed by its content type: JSON, a form, a multipart form, otherwise text. */
  readonly body: any;
  /** As it came. */
  readonly rawBody: string;
  readonly contentType: string;
  /** Why a body that claims to be JSON is not. */
  readonly bodyError?: string;
  /** ISO 8601. `Date` stands still at this moment. */
  readonly createdAt: string;
  /** The CloudEvents 1.0 view. */
  readonly event: CloudEvent;
}

interface CloudEvent {
  readonly specversion: "1.0";
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time?: string;
  readonly subject?: string;
  readonly datacontenttype?: string;
  readonly data?: any;
}

/** What a `responder` or a `query` returns. */
interface HookResponse {
  statusCode?: number;
  headers?: Record<string, string>;
  body?: any;
}

/** The secrets of this hook, by name. */
type HookSecrets = Readonly<Record<string, string>>;

/** The secrets of this hook, by name. They are set under *Secrets*, and redacted wherever they would be shown. */
declare const secrets: HookSecrets;

/** A random UUID, the same on every replay. */
declare function uuid(): string;

/** The digest, as bytes: `toHex(sha256("tea"))` for its digits. */
declare function sha256(message: string | Uint8Array): Uint8Array;

/** The digest, as bytes. */
declare function sha512(message: string | Uint8Array): Uint8Array;

/** The code of a message under a key, as bytes. */
declare function hmac(hash: "sha256" | "sha512", key: string | Uint8Array, message: string | Uint8Array): Uint8Array;

/** Hexadecimal digits of bytes. */
declare function toHex(bytes: Uint8Array): string;

/** JSON Schema 2020-12. */
declare function validateJsonSchema(schema: unknown, value: unknown): { valid: boolean; errors: any[] };

/** JSON Type Definition, RFC 8927. */
declare function validateJsonTypeDef(
  schema: unknown,
  value: unknown,
): { valid: boolean; errors: { instancePath: string[]; schemaPath: string[] }[] };

/** Whether the sender knows the secret: over the raw bytes, in constant time, five minutes of tolerance. */
declare function verifyWebhook(
  request: HookRequest,
  secret: string,
  scheme: "standard" | "github" | "stripe" | "slack" | "shopify",
): boolean;

/** Something to fill in, in the form of a `template`. */
declare function input(name: string): { field: "input"; name: string };

/** Something to choose, in the form of a `template`. */
declare function select(name: string, options: any[]): { field: "select"; name: string; options: any[] };

/** A request to prefill: whoever sends by hand chooses it by name. `state` is null before the first request. */
declare function template(name: string, build: (state: HookState | null) => any): void;

/** Kept with the request, and shown under *Console*. */
declare const console: Record<"log" | "info" | "warn" | "error" | "debug" | "trace", (...values: any[]) => void>;

declare function atob(text: string): string;
declare function btoa(text: string): string;
declare function structuredClone<T>(value: T): T;

declare class TextEncoder {
  encode(text?: string): Uint8Array;
}

declare class TextDecoder {
  constructor(encoding?: string);
  decode(bytes?: Uint8Array): string;
}

declare class URLSearchParams {
  constructor(from?: string | Record<string, string> | [string, string][]);
  append(name: string, value: string): void;
  delete(name: string): void;
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string): boolean;
  set(name: string, value: string): void;
  sort(): void;
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  [Symbol.iterator](): IterableIterator<[string, string]>;
  toString(): string;
}

declare class URL {
  constructor(address: string, base?: string);
  hash: string;
  host: string;
  hostname: string;
  href: string;
  readonly origin: string;
  password: string;
  pathname: string;
  port: string;
  protocol: string;
  search: string;
  readonly searchParams: URLSearchParams;
  username: string;
  toString(): string;
}
