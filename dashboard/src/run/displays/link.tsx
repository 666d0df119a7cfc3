/** A link that looks like a button. */

import type { ButtonTheme, Target } from "../../api/types.ts";
import type { DisplayProps } from "../component.ts";
import { LeadButton } from "./place.tsx";

export function LinkDisplay({ shown }: DisplayProps<Target & { theme?: ButtonTheme }>) {
  return (
    <div>
      <LeadButton item={{ ...shown.props, label: shown.label }} />
    </div>
  );
}
