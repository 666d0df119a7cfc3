/** TypeScript, away from the page: what can stand at a place, and what does. */

import { createSystem, createVirtualTypeScriptEnvironment, type VirtualTypeScriptEnvironment } from "@typescript/vfs";
import { expose } from "comlink";
import ts from "typescript";
import actionTypes from "../../../sdk/action.d.ts?raw";
import hookTypes from "../../../sdk/hook.d.ts?raw";
import { annotate, type Annotated } from "./annotate.ts";

const CODE = "/hook.ts";
const STATE = "/state.d.ts";
const COMPLETIONS_MAX = 100;

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  lib: ["lib.es2023.d.ts"],
  module: ts.ModuleKind.ESNext,
  strict: false,
  allowJs: true,
  types: [],
};

const libraries = import.meta.glob<string>("/node_modules/typescript/lib/lib.{es5,es20*,decorators*}.d.ts", {
  query: "?raw",
  import: "default",
  eager: true,
});

export interface Offered {
  name: string;
  kind: string;
  detail: string;
}

export interface Explained {
  start: number;
  end: number;
  words: string;
  docs: string;
}

let made: VirtualTypeScriptEnvironment | undefined;

function environment(): VirtualTypeScriptEnvironment {
  if (made) return made;
  const files = new Map<string, string>([
    ["/sdk.d.ts", hookTypes],
    ["/action.d.ts", actionTypes],
    [STATE, "type HookState = any;"],
    [CODE, "\n"],
  ]);
  for (const [path, text] of Object.entries(libraries)) files.set(path.slice(path.lastIndexOf("/")), text);
  made = createVirtualTypeScriptEnvironment(
    createSystem(files),
    ["/sdk.d.ts", "/action.d.ts", STATE, CODE],
    ts,
    OPTIONS,
  );
  return made;
}

function put(code: string, state: string): Annotated {
  const annotated = annotate(code);
  const known = environment();
  if (known.getSourceFile(CODE)?.text !== annotated.text) known.updateFile(CODE, annotated.text || "\n");
  if (known.getSourceFile(STATE)?.text !== state) known.updateFile(STATE, state);
  return annotated;
}

const language = {
  complete(code: string, state: string, position: number): Offered[] {
    const { there } = put(code, state);
    const found = environment().languageService.getCompletionsAtPosition(CODE, there(position), {
      includeCompletionsWithInsertText: false,
    });
    const fits = ({ kind }: ts.CompletionEntry) => kind !== ts.ScriptElementKind.warning;
    return (found?.entries ?? [])
      .filter(fits)
      .toSorted((one, other) => one.sortText.localeCompare(other.sortText))
      .slice(0, found?.isMemberCompletion ? COMPLETIONS_MAX : undefined)
      .map(({ name, kind }) => ({ name, kind, detail: "" }));
  },

  explain(code: string, state: string, position: number): Explained | undefined {
    const { there, back } = put(code, state);
    const found = environment().languageService.getQuickInfoAtPosition(CODE, there(position));
    if (!found) return undefined;
    return {
      start: back(found.textSpan.start),
      end: back(found.textSpan.start + found.textSpan.length),
      words: ts.displayPartsToString(found.displayParts),
      docs: ts.displayPartsToString(found.documentation),
    };
  },
};

export type Language = typeof language;

expose(language);
