/** Values that code finds by their names, secrets or variables: a form that keeps one, and a table where each can be removed. */

import { type FormEvent, type ReactNode, useState } from "react";
import { Button } from "./button.tsx";
import { Confirm } from "./confirm.tsx";
import { Field } from "./field.tsx";
import style from "./named_values.module.css";
import { Framed } from "./tab_section.tsx";
import { type Column, Table } from "./table.tsx";
import { useToast } from "./toast.tsx";

const SKELETON_ROWS = 2;

interface NewValueProps {
  /** Those that are there. */
  names: readonly string[];
  placeholder?: string;
  nameCharsMax?: number;
  /** Nobody who looks on reads it. */
  isHidden: boolean;
  /** A secret is never said again by the browser, shown or not. */
  isSecret: boolean;
  isValueNeeded?: boolean;
  /** Stands beside the value. */
  children: ReactNode;
  isBusy: boolean;
  onSave: (name: string, value: string) => Promise<unknown>;
}

export function NewValue(props: NewValueProps) {
  const { names, placeholder, nameCharsMax, isHidden, isSecret, isValueNeeded, children, isBusy, onSave } = props;
  const toast = useToast();
  const [typed, setTyped] = useState("");
  const [value, setValue] = useState("");
  const [isChecked, setChecked] = useState(false);
  const name = typed.trim();
  const isMissing = isValueNeeded && value === "";
  const save = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (name === "" || isMissing || isBusy) return;
    onSave(name, value).then(() => {
      setTyped("");
      setValue("");
      setChecked(false);
    }, toast.failed);
  };
  return (
    <form className={style.form} onSubmit={save} autoComplete="off">
      <Field
        label="Name"
        placeholder={placeholder}
        spellCheck={false}
        autoCapitalize="off"
        autoComplete="off"
        maxLength={nameCharsMax}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        error={isChecked && name === "" ? "required" : undefined}
        hint={names.includes(name) ? "Saving replaces the value that is there." : undefined}
      />
      <Field
        label="Value"
        type={isHidden ? "password" : "text"}
        spellCheck={false}
        autoComplete={isSecret ? "new-password" : "off"}
        value={value}
        onChange={(event) => setValue(event.target.value)}
        error={isChecked && isMissing ? "required" : undefined}
      />
      {children}
      <Button type="submit" kind="main" isBusy={isBusy}>
        Save
      </Button>
    </form>
  );
}

interface ListProps<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[] | undefined;
  nameOf: (row: Row) => string;
  /** What a screen reader says of a row's button; *Remove* where nothing else is said. */
  removeLabelOf?: (row: Row) => string;
  /** What comes of it, asked before it is done. */
  consequenceOf: (row: Row) => ReactNode;
  isBusy: boolean;
  onRemove: (row: Row) => Promise<unknown>;
}

export function ValueList<Row>(props: ListProps<Row>) {
  const { label, columns, rows, nameOf, removeLabelOf, consequenceOf, isBusy, onRemove } = props;
  const toast = useToast();
  const [removing, setRemoving] = useState<Row>();
  const remove: Column<Row> = {
    name: "Remove",
    isNameUnseen: true,
    width: "6.75rem",
    cell: (row) => (
      <span className={style.remove}>
        <Button kind="danger" icon="bin" aria-label={removeLabelOf?.(row)} onClick={() => setRemoving(row)}>
          Remove
        </Button>
      </span>
    ),
  };
  return (
    <>
      <Framed>
        <Table
          label={label}
          columns={[...columns, remove]}
          count={rows?.length ?? SKELETON_ROWS}
          row={(index) => rows?.[index]}
          rowHeight={40}
        />
      </Framed>
      <Confirm
        title={`Remove ${removing ? nameOf(removing) : ""}?`}
        verb="Remove"
        isOpen={removing !== undefined}
        onClose={() => setRemoving(undefined)}
        isBusy={isBusy}
        onConfirm={() => {
          if (!removing) return;
          onRemove(removing)
            .catch(toast.failed)
            .finally(() => setRemoving(undefined));
        }}
      >
        {removing && <p>{consequenceOf(removing)}</p>}
      </Confirm>
    </>
  );
}
