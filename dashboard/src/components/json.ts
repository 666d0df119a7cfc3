/** Walks through JSON: what a tree shows of it, and what a search finds in it. */

import type { Json } from "../api/types.ts";

/** Children of one value that are shown before somebody asks for more. */
export const CHILDREN_SHOWN = 200;
/** What one search finds at most. */
const FOUND_MAX = 500;
/** What one search looks at, at most. */
const LOOKED_AT_MAX = 400_000;

export type Path = readonly (string | number)[];

/** A line of a tree. */
export interface Line {
  pointer: string;
  path: Path;
  name: string | number | undefined;
  depth: number;
  value: Json;
  /** How many children it has; `undefined` for a value without any. */
  size: number | undefined;
  isOpen: boolean;
  /** Stands for so many children that are not shown. */
  more?: number;
}

export function pointerOf(path: Path): string {
  return path.map((name) => `/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** As a program would write it: `state.byName["a b"][0]`. */
export function wordsOf(path: Path, root = "state"): string {
  const step = (name: string | number) => {
    if (typeof name === "number") return `[${name}]`;
    return /^[A-Za-z_$][\w$]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
  };
  return root + path.map(step).join("");
}

export function at(value: Json, pointer: string): Json | undefined {
  let found: Json | undefined = value;
  for (const step of pointer.split("/").slice(1)) {
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    if (found === null || typeof found !== "object") return undefined;
    found = Array.isArray(found) ? found[Number(name)] : Object.hasOwn(found, name) ? found[name] : undefined;
  }
  return found;
}

function entries(value: Json): [string | number, Json][] | undefined {
  if (value === null || typeof value !== "object") return undefined;
  return Array.isArray(value) ? value.map((item, index) => [index, item]) : Object.entries(value);
}

export function sizeOf(value: Json): number | undefined {
  if (value === null || typeof value !== "object") return undefined;
  return Array.isArray(value) ? value.length : Object.keys(value).length;
}

/** The lines of a tree, as far as it is open. */
export function lines(
  value: Json,
  isOpen: (pointer: string, depth: number) => boolean,
  shown: Map<string, number>,
): Line[] {
  const all: Line[] = [];
  const visit = (value: Json, path: Path, name: Line["name"]) => {
    const pointer = pointerOf(path);
    const size = sizeOf(value);
    const open = size !== undefined && size > 0 && isOpen(pointer, path.length);
    all.push({ pointer, path, name, depth: path.length, value, size, isOpen: open });
    if (!open) return;
    const children = entries(value) ?? [];
    const limit = shown.get(pointer) ?? CHILDREN_SHOWN;
    for (const [name, child] of children.slice(0, limit)) visit(child, [...path, name], name);
    if (children.length > limit) {
      const more = children.length - limit;
      const path_ = [...path, "…"];
      all.push({
        pointer,
        path: path_,
        name: undefined,
        depth: path_.length,
        value: null,
        size: undefined,
        isOpen: false,
        more,
      });
    }
  };
  visit(value, [], undefined);
  return all;
}

/** The lines whose name or value has these words in it. */
export function found(value: Json, words: string): Line[] {
  const wanted = words.toLowerCase();
  const all: Line[] = [];
  let looked = 0;
  const visit = (value: Json, path: Path, name: Line["name"]) => {
    if (all.length >= FOUND_MAX || looked++ > LOOKED_AT_MAX) return;
    const size = sizeOf(value);
    const text = size === undefined ? String(value) : "";
    const isNamed = name !== undefined && String(name).toLowerCase().includes(wanted);
    if (path.length > 0 && (isNamed || text.toLowerCase().includes(wanted))) {
      all.push({ pointer: pointerOf(path), path, name, depth: 0, value, size, isOpen: false });
    }
    for (const [name, child] of entries(value) ?? []) visit(child, [...path, name], name);
  };
  visit(value, [], undefined);
  return all;
}

/** Where numbers stand, the first of them: what a chart can show. */
export function numericPointers(value: Json, max = 200): string[] {
  const all: string[] = [];
  const visit = (value: Json, path: Path) => {
    if (all.length >= max) return;
    if (typeof value === "number") all.push(pointerOf(path));
    for (const [name, child] of entries(value) ?? []) visit(child, [...path, name]);
  };
  visit(value, []);
  return all;
}

/** A value in one line, cut where it is long. */
export function brief(value: Json, max = 120): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > max ? `${text.slice(0, max - 1)}…` : text;
}
