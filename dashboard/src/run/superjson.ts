/** superjson, as @interval/sdk has it: JSON, and beside it what was more than JSON. */

import SuperJSON from "superjson";
import type { Json } from "../api/types.ts";

const superjson = new SuperJSON();
// The SDK marks what looks like a time of day; it is a string, here and there.
superjson.registerCustom<string, string>(
  { isApplicable: (_): _ is string => false, serialize: (time) => time, deserialize: (time) => time },
  "time",
);

export function decoded(json: Json | undefined, meta: Json | undefined): unknown {
  if (!meta || json === undefined) return json;
  try {
    return superjson.deserialize({ json, meta } as Parameters<typeof superjson.deserialize>[0]);
  } catch {
    // A type of a later superjson: what it is in JSON is better than nothing.
    return json;
  }
}

export function encoded(value: unknown): { json: unknown; meta?: unknown } {
  return superjson.serialize(value);
}

/** As a tree shows it, which knows JSON alone. */
export function plain(value: unknown): Json {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return value;
  }
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, item]) => [String(name), plain(item)]));
  if (value instanceof Set || Array.isArray(value)) return [...value].map(plain);
  if (value instanceof Error) return { name: value.name, message: value.message };
  if (value instanceof URL || value instanceof RegExp || typeof value === "symbol") return String(value);
  if (typeof value !== "object") return null;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}
