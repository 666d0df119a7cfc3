/** Something to take along: the words, and a button that copies them. */

import { useState } from "react";
import { Button } from "./button.tsx";
import style from "./copy.module.css";

const SAID_MS = 1_500;

interface Props {
  text: string;
  label: string;
  kind?: "quiet" | "plain";
  children?: string;
}

export function CopyButton({ text, label, kind = "quiet", children }: Props) {
  const [isCopied, setCopied] = useState(false);
  return (
    <Button
      kind={kind}
      icon={isCopied ? "check" : "copy"}
      aria-label={isCopied ? "Copied" : label}
      title={label}
      onClick={async () => {
        await copy(text);
        setCopied(true);
        setTimeout(() => setCopied(false), SAID_MS);
      }}
    >
      {children}
    </Button>
  );
}

/** A line of code to copy. */
export function Copyable({ text, label }: { text: string; label: string }) {
  return (
    <span className={style.copyable}>
      <code tabIndex={0} role="group" aria-label={label.replace(/^Copy /, "")}>
        {text}
      </code>
      <CopyButton text={text} label={label} />
    </span>
  );
}

/** Pages that came without TLS have no clipboard of their own. */
async function copy(text: string) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).catch(() => copyOld(text));
  copyOld(text);
}

function copyOld(text: string) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
