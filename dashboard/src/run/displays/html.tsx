/** HTML of the action, without what acts in it. */

import type { DisplayProps } from "../component.ts";
import { Clean } from "./clean.tsx";
import { Figure } from "./figure.tsx";

export function Html({ shown }: DisplayProps<{ html: string }>) {
  return (
    <Figure label={shown.label}>
      <Clean html={shown.props.html} />
    </Figure>
  );
}
