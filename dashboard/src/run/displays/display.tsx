/** Something an action shows and nobody answers. */

import type { DisplayProps } from "../component.ts";
import { displayOf } from "./displays.ts";

export function Display(props: DisplayProps<unknown>) {
  const Shown = displayOf(props.shown.method);
  if (Shown) return <Shown {...props} />;
  return (
    <p>
      {props.shown.label} <small>({props.shown.method} is not known here.)</small>
    </p>
  );
}
