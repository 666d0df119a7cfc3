/** Text with emphasis, lists and links. */

import { type ClipboardEvent, useEffect, useId, useRef } from "react";
import { Clean } from "../displays/clean.tsx";
import type { Common, Input, InputProps } from "../component.ts";
import { cleanHtml, cleanWritten, safeAddress, textOf } from "../sanitise.ts";
import { Frame } from "./frame.tsx";
import { noteOf } from "./note.ts";
import style from "./rich_text.module.css";

interface Props extends Common {
  defaultValue?: string | null;
}

/** Browsers know these, and nothing has come in their stead. */
const TOOLS: { name: string; sign: string; command: string; value?: string }[] = [
  { name: "Bold", sign: "B", command: "bold" },
  { name: "Italic", sign: "I", command: "italic" },
  { name: "Strikethrough", sign: "S", command: "strikeThrough" },
  { name: "Heading", sign: "H", command: "formatBlock", value: "h2" },
  { name: "Bulleted list", sign: "•", command: "insertUnorderedList" },
  { name: "Numbered list", sign: "1.", command: "insertOrderedList" },
  { name: "Quote", sign: "”", command: "formatBlock", value: "blockquote" },
  { name: "Link", sign: "↗", command: "createLink" },
  { name: "Plain text", sign: "×", command: "removeFormat" },
];

function RichText(input: InputProps<Props, string>) {
  const { shown, error, isReadOnly, draft } = input;
  if (isReadOnly || shown.props.disabled) {
    return (
      <Frame label={shown.label} hint={shown.props.helpText} note={noteOf(shown)} error={error}>
        <Clean html={draft} />
      </Frame>
    );
  }
  return <Editable {...input} />;
}

function Editable({ shown, draft, onChange, error }: InputProps<Props, string>) {
  const id = useId();
  const place = useRef<HTMLDivElement>(null);
  const first = useRef(draft);
  // The browser keeps what stands in it; React looks on.
  useEffect(() => {
    document.execCommand("defaultParagraphSeparator", false, "p");
    place.current?.replaceChildren(cleanHtml(first.current || "<p><br></p>", () => false).content);
  }, []);
  const tell = () => onChange(cleanWritten(place.current?.innerHTML ?? ""));
  const use = ({ command, value }: (typeof TOOLS)[number]) => {
    const text = place.current;
    if (!text) return;
    text.focus();
    if (command === "createLink") {
      const address = prompt("Where should the link lead?", "https://");
      const safe = address ? safeAddress(address) : undefined;
      if (safe) document.execCommand(command, false, safe);
    } else {
      const caret = caretIn(text);
      const isOn = value !== undefined && document.queryCommandValue(command).toLowerCase() === value;
      document.execCommand(command, false, isOn ? "p" : value);
      if (command === "removeFormat") document.execCommand("formatBlock", false, "p");
      freeLists(text);
      if (command.startsWith("insert") && caret !== undefined) setCaret(text, caret);
    }
    tell();
  };
  const paste = (event: ClipboardEvent) => {
    event.preventDefault();
    const html = event.clipboardData.getData("text/html");
    const text = event.clipboardData.getData("text/plain");
    if (html) document.execCommand("insertHTML", false, cleanWritten(html));
    else document.execCommand("insertText", false, text);
  };
  return (
    <Frame label={shown.label} hint={shown.props.helpText} note={noteOf(shown)} error={error}>
      <div className={style.richText}>
        <div className={style.tools} role="toolbar" aria-label="Format">
          {TOOLS.map((tool) => (
            <button
              key={tool.name}
              type="button"
              title={tool.name}
              aria-label={tool.name}
              data-tool={tool.command}
              // What is selected stays so.
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => use(tool)}
            >
              {tool.sign}
            </button>
          ))}
        </div>
        <div
          ref={place}
          id={id}
          className={style.text}
          contentEditable
          suppressContentEditableWarning
          role="textbox"
          tabIndex={0}
          aria-multiline="true"
          aria-label={shown.label}
          aria-invalid={error ? true : undefined}
          data-placeholder={shown.props.placeholder}
          data-empty={textOf(draft) === "" || undefined}
          onInput={tell}
          onPaste={paste}
        />
      </div>
    </Frame>
  );
}

/** Browsers leave a list in the paragraph that it was made of, where none may be. */
function freeLists(text: HTMLElement) {
  for (const list of text.querySelectorAll("p > ul, p > ol"))
    list.parentElement?.replaceWith(...list.parentElement.childNodes);
}

/** So many characters stand before the caret; browsers lose it when they make a list. */
function caretIn(text: HTMLElement): number | undefined {
  const selected = getSelection();
  if (!selected?.isCollapsed || !selected.focusNode || !text.contains(selected.focusNode)) return undefined;
  const before = document.createRange();
  before.setStart(text, 0);
  before.setEnd(selected.focusNode, selected.focusOffset);
  return before.toString().length;
}

function setCaret(text: HTMLElement, caret: number) {
  const nodes = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
  let left = caret;
  for (let node = nodes.nextNode(); node; node = nodes.nextNode()) {
    const length = node.textContent?.length ?? 0;
    if (left <= length) {
      getSelection()?.collapse(node, left);
      return;
    }
    left -= length;
  }
}

export const richText: Input<Props, string> = {
  Field: RichText,
  begin: ({ props }) => cleanWritten(props.defaultValue ?? ""),
  answer: (draft) => (textOf(draft) === "" ? null : draft),
  draftOf: (value) => (typeof value === "string" ? cleanWritten(value) : ""),
  words: (value) => (typeof value === "string" ? textOf(value) : ""),
};
