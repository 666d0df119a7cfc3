/** Any value, as a tree. */

import { useMemo } from "react";
import { Still } from "../../components/live_value.tsx";
import type { DisplayProps } from "../component.ts";
import { plain } from "../superjson.ts";
import { Figure } from "./figure.tsx";

export function ObjectDisplay({ shown }: DisplayProps<{ data: unknown }>) {
  const value = useMemo(() => plain(shown.props.data), [shown.props.data]);
  return (
    <Figure label={shown.label}>
      <Still label={shown.label || "Object"} value={value} root="object" />
    </Figure>
  );
}
