/** The type of a state, as far as one example tells it: what a completion offers behind `state.` */

import type { Json } from "../api/types.ts";

const DEPTH_MAX = 6;
const NAMES_MAX = 100;

export function stateType(state: Json): string {
  return `type HookState = ${typeOf(state, 0)};`;
}

function typeOf(value: Json, depth: number): string {
  if (value === null || depth > DEPTH_MAX) return "any";
  if (typeof value !== "object") return typeof value;
  if (Array.isArray(value)) return value.length === 0 ? "any[]" : `(${typeOf(value[0] ?? null, depth + 1)})[]`;
  const names = Object.entries(value).slice(0, NAMES_MAX);
  return `{ ${names.map(([name, value]) => `${JSON.stringify(name)}: ${typeOf(value, depth + 1)}`).join("; ")} }`;
}
