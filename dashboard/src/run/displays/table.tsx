/** Rows to read. */

import type { DisplayProps } from "../component.ts";
import { DataTable, type TableProps } from "../table/data_table.tsx";
import { Figure } from "./figure.tsx";

export function TableDisplay({ shown, ask, isReadOnly }: DisplayProps<TableProps & { helpText?: string }>) {
  return (
    <Figure label={shown.label} hint={shown.props.helpText}>
      <DataTable label={shown.label || "Table"} props={shown.props} ask={ask} isReadOnly={isReadOnly} />
    </Figure>
  );
}
