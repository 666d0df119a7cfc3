/** What each display method of the SDK shows. */

import type { ReactNode } from "react";
import type { DisplayProps } from "../component.ts";
import { Code } from "./code.tsx";
import { Grid } from "./grid.tsx";
import { Heading } from "./heading.tsx";
import { Html } from "./html.tsx";
import { Image } from "./image.tsx";
import { LinkDisplay } from "./link.tsx";
import { Markdown } from "./markdown.tsx";
import { Metadata } from "./metadata.tsx";
import { ObjectDisplay } from "./object.tsx";
import { TableDisplay } from "./table.tsx";
import { Video } from "./video.tsx";

const DISPLAYS: Record<string, unknown> = {
  DISPLAY_HEADING: Heading,
  DISPLAY_MARKDOWN: Markdown,
  DISPLAY_HTML: Html,
  DISPLAY_CODE: Code,
  DISPLAY_IMAGE: Image,
  DISPLAY_VIDEO: Video,
  DISPLAY_LINK: LinkDisplay,
  DISPLAY_OBJECT: ObjectDisplay,
  DISPLAY_METADATA: Metadata,
  DISPLAY_TABLE: TableDisplay,
  DISPLAY_GRID: Grid,
};

/** Each is given the properties of its own method alone. */
export const displayOf = (method: string) =>
  DISPLAYS[method] as ((props: DisplayProps<unknown>) => ReactNode) | undefined;
