/** Which rows are shown, and the way to the others. */

import type { ReactNode } from "react";
import { Button } from "../../components/button.tsx";
import { Field } from "../../components/field.tsx";
import style from "./pager.module.css";
import type { useRows } from "./rows.ts";

type Rows = ReturnType<typeof useRows>;

export function Filter({ rows }: { rows: Rows }) {
  const { queryTerm } = rows.view;
  return (
    <div className={style.filter}>
      <Field
        label="Filter"
        isLabelUnseen
        type="search"
        placeholder="Filter"
        value={queryTerm}
        // In a form, it looks for rows and sends nothing.
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) event.preventDefault();
        }}
        onChange={(event) => rows.show({ queryTerm: event.target.value, offset: 0 })}
      />
      {queryTerm !== "" && (
        <Button kind="quiet" onClick={() => rows.show({ queryTerm: "", offset: 0 })}>
          Clear filter
        </Button>
      )}
    </div>
  );
}

/** Nothing to show, for one reason or the other. */
export function NoRows({ rows }: { rows: Rows }) {
  const { queryTerm } = rows.shown;
  if (rows.isBusy && queryTerm === "") return <p className={style.none}>Fetching…</p>;
  return <p className={style.none}>{queryTerm ? `No records found matching '${queryTerm}'` : "There are no items"}</p>;
}

export function Pager({ rows, children }: { rows: Rows; children?: ReactNode }) {
  const { shown, total, hasNext, isLast, error } = rows;
  const end = shown.offset + rows.rows.length;
  const range = total === undefined ? `${shown.offset + 1} - ${end}` : `${shown.offset + 1} - ${end} of ${total}`;
  return (
    <div className={style.pager}>
      {children}
      {error && (
        <span className={style.error} role="alert">
          {error}
        </span>
      )}
      <span className={style.range} role="status">
        {rows.rows.length > 0 && range}
      </span>
      {(shown.offset > 0 || hasNext) && (
        <>
          <Button
            icon="left"
            aria-label="Previous page"
            disabled={rows.view.offset === 0}
            onClick={() => rows.show({ offset: Math.max(0, rows.view.offset - shown.pageSize) })}
          />
          <Button
            icon="right"
            aria-label="Next page"
            disabled={isLast || (!hasNext && rows.view.offset >= shown.offset)}
            onClick={() => rows.show({ offset: rows.view.offset + shown.pageSize })}
          />
        </>
      )}
    </div>
  );
}
