/** Completion and hover in the editor, asked of TypeScript in a worker that is started when it is first needed. */

import { type CompletionContext, type CompletionResult, autocompletion } from "@codemirror/autocomplete";
import type { Extension } from "@codemirror/state";
import { type EditorView, hoverTooltip } from "@codemirror/view";
import { type Remote, wrap } from "comlink";
import type { Json } from "../api/types.ts";
import type { Language } from "./language.worker.ts";
import { stateType } from "./state_type.ts";

let started: Remote<Language> | undefined;

function language(): Remote<Language> {
  started ??= wrap<Language>(new Worker(new URL("./language.worker.ts", import.meta.url), { type: "module" }));
  return started;
}

/** TypeScript's words for what CodeMirror draws. */
const KINDS: Record<string, string> = {
  const: "constant",
  let: "variable",
  var: "variable",
  "local var": "variable",
  parameter: "variable",
  function: "function",
  "local function": "function",
  method: "method",
  property: "property",
  getter: "property",
  keyword: "keyword",
  class: "class",
  interface: "interface",
  type: "type",
};

/** `state` tells the newest state: its names are worth offering. */
export function typescript(state: () => Json): Extension {
  const complete = async (context: CompletionContext): Promise<CompletionResult | null> => {
    const word = context.matchBefore(/[\w$]+/);
    const isMember = context.matchBefore(/\.[\w$]*/) !== null;
    if (!word && !isMember && !context.explicit) return null;
    const offered = await language().complete(context.state.doc.toString(), stateType(state()), context.pos);
    return {
      from: word ? word.from : context.pos,
      options: offered.map(({ name, kind }) => ({ label: name, type: KINDS[kind] ?? "variable" })),
      validFor: /^[\w$]*$/,
    };
  };
  const explain = async (view: EditorView, position: number) => {
    const found = await language().explain(view.state.doc.toString(), stateType(state()), position);
    if (!found) return null;
    return { pos: found.start, end: found.end, create: () => ({ dom: drawn(found.words, found.docs) }) };
  };
  return [autocompletion({ override: [complete], icons: false }), hoverTooltip(explain, { hoverTime: 250 })];
}

function drawn(words: string, docs: string): HTMLElement {
  const box = document.createElement("div");
  box.className = "cm-hover";
  const code = document.createElement("code");
  code.textContent = words;
  box.append(code);
  if (docs) {
    const text = document.createElement("p");
    text.textContent = docs;
    box.append(text);
  }
  return box;
}
