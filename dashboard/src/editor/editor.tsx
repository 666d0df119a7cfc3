/** The editor of code: CodeMirror, made once and told what changes. Loaded when it is first shown. */

import { closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { javascript } from "@codemirror/lang-javascript";
import { bracketMatching, indentOnInput } from "@codemirror/language";
import { type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Annotation, EditorState, type Text } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { useEffect, useLayoutEffect, useRef } from "react";
import type { Json } from "../api/types.ts";
import { typescript } from "./language.ts";
import { nonce, theme } from "./theme.ts";

/** Something wrong at a place, as the server says it: both begin at 1. */
export interface Wrong {
  line: number;
  column: number;
  words: string;
}

interface Props {
  label: string;
  value: string;
  onChange: (value: string) => void;
  wrong: readonly Wrong[];
  /** The newest state, whose names are offered. */
  state: Json;
}

/** The page wrote it, not its reader. */
const given = Annotation.define<true>();

export default function Editor({ label, value, onChange, wrong, state }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const newest = useRef({ onChange, state });
  newest.current = { onChange, state };
  const first = useRef({ label, value });

  useEffect(() => {
    if (!place.current) return;
    const made = new EditorView({
      parent: place.current,
      state: EditorState.create({
        doc: first.current.value,
        extensions: [
          EditorView.cspNonce.of(nonce()),
          EditorView.contentAttributes.of({ "aria-label": first.current.label, spellcheck: "false", tabindex: "0" }),
          lineNumbers(),
          lintGutter(),
          highlightActiveLineGutter(),
          highlightSpecialChars(),
          history(),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          highlightActiveLine(),
          highlightSelectionMatches(),
          EditorView.lineWrapping,
          javascript({ typescript: true }),
          typescript(() => newest.current.state),
          theme,
          keymap.of([
            ...closeBracketsKeymap,
            ...searchKeymap,
            ...historyKeymap,
            ...completionKeymap,
            ...lintKeymap,
            ...defaultKeymap,
            indentWithTab,
          ]),
          EditorView.updateListener.of((update) => {
            const isGiven = update.transactions.some((one) => one.annotation(given));
            if (update.docChanged && !isGiven) newest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    return () => made.destroy();
  }, []);

  // Before the next key: an older value would take it back.
  useLayoutEffect(() => {
    const doc = view.current?.state.doc;
    if (doc && doc.toString() !== value)
      view.current?.dispatch({
        changes: { from: 0, to: doc.length, insert: value },
        annotations: given.of(true),
      });
  }, [value]);

  useEffect(() => {
    const known = view.current;
    if (known)
      known.dispatch(
        setDiagnostics(
          known.state,
          wrong.map((one) => diagnostic(known.state.doc, one)),
        ),
      );
  }, [wrong]);

  return <div ref={place} style={{ height: "100%", minHeight: 0 }} />;
}

function diagnostic(doc: Text, { line, column, words }: Wrong): Diagnostic {
  const there = doc.line(Math.max(1, Math.min(line, doc.lines)));
  const from = Math.min(there.from + Math.max(0, column - 1), there.to);
  const word = /^[\w$]+/.exec(doc.sliceString(from, there.to))?.[0].length ?? 1;
  // At the end of a line there is nothing to underline but what stands before.
  return {
    from: from === there.to && from > there.from ? from - 1 : from,
    to: Math.min(from + word, there.to),
    severity: "error",
    message: words,
  };
}
