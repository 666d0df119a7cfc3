/** Code to read: alone, or with what changed since other code. Loaded when it is first shown. */

import { javascript } from "@codemirror/lang-javascript";
import { unifiedMergeView } from "@codemirror/merge";
import { EditorState, type Extension } from "@codemirror/state";
import { EditorView, lineNumbers } from "@codemirror/view";
import { useEffect, useRef } from "react";
import { nonce, theme } from "./theme.ts";

/** Lines that stay in sight around a change. */
const LINES_AROUND = 3;
/** A comparison that takes longer becomes coarse. */
const COMPARE_MS_MAX = 300;

interface Props {
  label: string;
  code: string;
  /** What it is compared with. */
  before?: string | undefined;
}

export default function Diff({ label, code, before }: Props) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!place.current) return;
    const view = new EditorView({
      parent: place.current,
      state: EditorState.create({
        doc: code,
        extensions: [
          EditorView.cspNonce.of(nonce()),
          EditorState.readOnly.of(true),
          EditorView.editable.of(false),
          EditorView.contentAttributes.of({ "aria-label": label, "aria-readonly": "true", tabindex: "0" }),
          lineNumbers(),
          javascript({ typescript: true }),
          before === undefined ? [] : compared(before),
          whole,
          theme,
        ],
      }),
    });
    return () => view.destroy();
  }, [label, code, before]);
  return <div ref={place} />;
}

function compared(before: string): Extension {
  return [
    unifiedMergeView({
      original: before,
      mergeControls: false,
      gutter: false,
      collapseUnchanged: { margin: LINES_AROUND },
      diffConfig: { timeout: COMPARE_MS_MAX },
    }),
    signs,
  ];
}

/** As high as its lines: the page around it scrolls. */
const whole = EditorView.theme({
  "&": { height: "auto" },
  ".cm-content": { padding: "0.5rem 0" },
});

/** A sign at each line that came or went, so that no colour has to say it; the words within it stand out. */
const signs = EditorView.theme({
  ".cm-line, .cm-deletedLine": { position: "relative", paddingLeft: "1.5rem" },
  ".cm-deletedChunk": { paddingLeft: "0" },
  ".cm-deletedLine": { display: "block" },
  ".cm-changedLine::before, .cm-deletedLine::before": { position: "absolute", left: "0.5rem" },
  ".cm-changedLine::before": { content: '"+"', color: "var(--ok)" },
  ".cm-deletedLine::before": { content: '"−"', color: "var(--bad)" },
  "&.cm-merge-b .cm-changedLine": { backgroundColor: "var(--ok-tint)" },
  "& .cm-deletedChunk": { backgroundColor: "var(--bad-tint)" },
  "& .cm-insertedLine, & .cm-deletedLine": { background: "none" },
  "&.cm-merge-b .cm-changedText": { background: "color-mix(in oklch, var(--ok) 22%, transparent)" },
  "&.cm-merge-b .cm-deletedChunk .cm-deletedText": { background: "color-mix(in oklch, var(--bad) 22%, transparent)" },
  "& .cm-collapsedLines": {
    padding: "0.2rem 1.5rem",
    background: "var(--sunken)",
    color: "var(--ink-soft)",
    fontFamily: "var(--sans)",
    fontSize: "0.75rem",
  },
  "& .cm-collapsedLines::before, & .cm-collapsedLines::after": { content: "none" },
});
