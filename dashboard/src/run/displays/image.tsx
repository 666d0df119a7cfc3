/** An image, with what it is called. */

import type { DisplayProps } from "../component.ts";
import { Figure } from "./figure.tsx";
import { Picture, type PictureProps } from "./picture.tsx";

export function Image({ shown }: DisplayProps<PictureProps>) {
  return (
    <Figure label={shown.label}>
      <span>
        <Picture {...shown.props} alt={shown.props.alt ?? shown.label} />
      </span>
    </Figure>
  );
}
