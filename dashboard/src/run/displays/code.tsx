/** Code to read and to copy. */

import { Snippet } from "../../components/snippet.tsx";
import type { DisplayProps } from "../component.ts";
import { Figure } from "./figure.tsx";

export function Code({ shown }: DisplayProps<{ code: string; language?: string }>) {
  return (
    <Figure label={shown.label}>
      <Snippet text={shown.props.code} label={shown.label || shown.props.language || "code"} />
    </Figure>
  );
}
