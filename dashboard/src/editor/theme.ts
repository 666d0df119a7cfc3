/** How code looks: the page's own colours, so that light and dark come by themselves. */

import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import type { Extension } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const surface = EditorView.theme({
  "&": { height: "100%", backgroundColor: "var(--surface)", color: "var(--ink)", fontSize: "0.8125rem" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6", fontFeatureSettings: '"calt" 0' },
  ".cm-content": { padding: "0.75rem 0", caretColor: "var(--accent)" },
  ".cm-cursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--ink-soft)", border: "none" },
  ".cm-lineNumbers .cm-gutterElement": { padding: "0 0.5rem 0 0.9rem", minWidth: "2.4rem" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--sunken)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "light-dark(oklch(88% 0.07 275), oklch(40% 0.1 275))",
  },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": {
    backgroundColor: "var(--accent-tint)",
    outline: "1px solid var(--line-strong)",
  },
  ".cm-tooltip": {
    border: "1px solid var(--line)",
    borderRadius: "var(--radius)",
    backgroundColor: "var(--surface)",
    color: "var(--ink)",
    boxShadow: "var(--shadow-l)",
    overflow: "hidden",
  },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "0.75rem" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "0.2rem 0.6rem" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent-tint)", color: "var(--ink)" },
  ".cm-completionDetail": { color: "var(--ink-soft)", fontStyle: "normal" },
  ".cm-completionInfo": { padding: "0.5rem 0.6rem", maxWidth: "24rem", fontFamily: "var(--sans)" },
  ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--bad)", padding: "0.4rem 0.6rem" },
  ".cm-lintRange-error": {
    backgroundImage: "none",
    textDecoration: "underline wavy var(--bad)",
    textDecorationSkipInk: "none",
    textUnderlineOffset: "3px",
  },
  ".cm-lint-marker-error": {
    content: '""',
    width: "0.7em",
    height: "0.7em",
    borderRadius: "50%",
    background: "var(--bad)",
  },
  ".cm-hover": { padding: "0.45rem 0.6rem", maxWidth: "34rem", fontSize: "0.75rem", whiteSpace: "pre-wrap" },
  ".cm-hover code": { display: "block" },
  ".cm-hover p": { marginTop: "0.35rem", color: "var(--ink-soft)", fontFamily: "var(--sans)" },
  ".cm-changedLine": { backgroundColor: "var(--ok-tint)" },
  ".cm-deletedChunk": { backgroundColor: "var(--bad-tint)" },
  ".cm-insertedLine, .cm-changedText": { background: "light-dark(oklch(89% 0.07 155), oklch(36% 0.07 155))" },
  ".cm-deletedLine, .cm-deletedText": { background: "light-dark(oklch(90% 0.06 27), oklch(36% 0.09 25))" },
});

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: "var(--accent)" },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: "var(--ok)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--warn)" },
  { tag: [tags.comment], color: "var(--ink-soft)", fontStyle: "italic" },
  { tag: [tags.typeName, tags.className], color: "var(--warn)" },
  { tag: [tags.function(tags.definition(tags.variableName))], fontWeight: "600" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

export const theme: Extension = [surface, syntaxHighlighting(colours)];

/** What the page's policy asks of a style that was not in it from the beginning. */
export function nonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? "";
}
