/** The tab Variables: what the function's code finds in its environment. */

import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { deleteVariable, setVariable, variables } from "../../api/functions.ts";
import { useChange } from "../../api/queries.ts";
import type { UserFunction, Variable } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Confirm } from "../../components/confirm.tsx";
import { Empty } from "../../components/empty.tsx";
import { Field } from "../../components/field.tsx";
import { Section, Sections } from "../../components/tab_section.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { useToast } from "../../components/toast.tsx";
import style from "./variables.module.css";

const SKELETON_ROWS = 2;

export function Variables({ of }: { of: UserFunction }) {
  const { data: known } = useQuery(variables(of.id));
  return (
    <Sections>
      <Section
        title="Variables"
        why="Code finds each in its environment. A change starts instances anew, and needs no deployment. The build sees no secret."
      >
        <NewVariable of={of} keys={known?.map(({ key }) => key) ?? []} />
        {known?.length === 0 ? (
          <Empty title="No variables yet">
            Keep the address of a database here, for example, or the key of an API: tick <b>Secret</b>, and nobody reads
            it back.
          </Empty>
        ) : (
          <List of={of} variables={known} />
        )}
      </Section>
    </Sections>
  );
}

function NewVariable({ of, keys }: { of: UserFunction; keys: string[] }) {
  const toast = useToast();
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const [isSecret, setSecret] = useState(false);
  const [isChecked, setChecked] = useState(false);
  const key = name.trim();
  const set = useChange(() => setVariable(of.id, { key, value, secret: isSecret }), [variables(of.id).queryKey]);
  const save = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (key === "" || set.isPending) return;
    set.mutateAsync(undefined).then(() => {
      toast.done(`${key} is set.`);
      setName("");
      setValue("");
      setSecret(false);
      setChecked(false);
    }, toast.failed);
  };
  return (
    <form className={style.form} onSubmit={save} autoComplete="off">
      <Field
        label="Name"
        placeholder="DATABASE_URL"
        spellCheck={false}
        autoCapitalize="off"
        autoComplete="off"
        value={name}
        onChange={(event) => setName(event.target.value)}
        error={isChecked && key === "" ? "required" : undefined}
        hint={keys.includes(key) ? "Saving replaces the value that is there." : undefined}
      />
      <Field
        label="Value"
        type={isSecret ? "password" : "text"}
        spellCheck={false}
        autoComplete={isSecret ? "new-password" : "off"}
        value={value}
        onChange={(event) => setValue(event.target.value)}
      />
      <label className={style.secret}>
        <input type="checkbox" checked={isSecret} onChange={(event) => setSecret(event.target.checked)} />
        Secret
      </label>
      <Button type="submit" kind="main" isBusy={set.isPending}>
        Save
      </Button>
    </form>
  );
}

function List({ of, variables: known }: { of: UserFunction; variables: Variable[] | undefined }) {
  const toast = useToast();
  const [removing, setRemoving] = useState<string>();
  const remove = useChange((key: string) => deleteVariable(of.id, key), [variables(of.id).queryKey]);
  const columns: Column<Variable>[] = [
    { name: "Name", width: "minmax(0, 1fr)", cell: ({ key }) => <code title={key}>{key}</code> },
    { name: "Value", width: "minmax(0, 1.4fr)", cell: (variable) => <Value of={variable} /> },
    {
      name: "Remove",
      isNameUnseen: true,
      width: "6.75rem",
      cell: ({ key }) => (
        <span className={style.remove}>
          <Button kind="danger" icon="bin" aria-label={`Remove ${key}`} onClick={() => setRemoving(key)}>
            Remove
          </Button>
        </span>
      ),
    },
  ];
  return (
    <>
      <div className={style.list}>
        <Table
          label="Variables"
          columns={columns}
          count={known?.length ?? SKELETON_ROWS}
          row={(index) => known?.[index]}
          rowHeight={40}
        />
      </div>
      <Confirm
        title={`Remove ${removing ?? ""}?`}
        verb="Remove"
        isOpen={removing !== undefined}
        onClose={() => setRemoving(undefined)}
        isBusy={remove.isPending}
        onConfirm={() => {
          if (removing === undefined) return;
          remove
            .mutateAsync(removing)
            .then(() => toast.done(`${removing} is removed.`), toast.failed)
            .finally(() => setRemoving(undefined));
        }}
      >
        <p>Requests from now on find nothing under this name.</p>
      </Confirm>
    </>
  );
}

function Value({ of: { value, secret } }: { of: Variable }) {
  if (secret || value === null) return <span className={style.soft}>secret, never shown</span>;
  return value === "" ? <span className={style.soft}>empty</span> : <code title={value}>{value}</code>;
}
