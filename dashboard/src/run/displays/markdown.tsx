/** Markdown, as GitHub has it. The label is the text. */

import { useMemo } from "react";
import type { DisplayProps } from "../component.ts";
import { markdownToHtml } from "../sanitise.ts";
import { Clean } from "./clean.tsx";

export function Markdown({ shown }: DisplayProps<unknown>) {
  const html = useMemo(() => markdownToHtml(shown.label), [shown.label]);
  return <Clean html={html} />;
}
