/** The tab Variables: what the function's code finds in its environment. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { deleteVariable, setVariable, variables } from "../../api/functions.ts";
import { useChange } from "../../api/queries.ts";
import type { UserFunction, Variable } from "../../api/types.ts";
import { Empty } from "../../components/empty.tsx";
import { NewValue, ValueList } from "../../components/named_values.tsx";
import { Section, Sections } from "../../components/tab_section.tsx";
import type { Column } from "../../components/table.tsx";
import { useToast } from "../../components/toast.tsx";
import style from "./variables.module.css";

const COLUMNS: Column<Variable>[] = [
  { name: "Name", width: "minmax(0, 1fr)", cell: ({ key }) => <code title={key}>{key}</code> },
  { name: "Value", width: "minmax(0, 1.4fr)", cell: (variable) => <Value of={variable} /> },
];

export function Variables({ of }: { of: UserFunction }) {
  const { data: known } = useQuery(variables(of.id));
  return (
    <Sections>
      <Section
        title="Variables"
        why="Code finds each in its environment. A change starts instances anew, and needs no deployment. The build sees no secret."
      >
        <NewVariable of={of} names={known?.map(({ key }) => key) ?? []} />
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

function NewVariable({ of, names }: { of: UserFunction; names: string[] }) {
  const toast = useToast();
  const [isSecret, setSecret] = useState(false);
  const set = useChange(
    ([key, value]: [key: string, value: string]) => setVariable(of.id, { key, value, secret: isSecret }),
    [variables(of.id).queryKey],
  );
  return (
    <NewValue
      names={names}
      placeholder="DATABASE_URL"
      isHidden={isSecret}
      isSecret={isSecret}
      isBusy={set.isPending}
      onSave={async (key, value) => {
        await set.mutateAsync([key, value]);
        toast.done(`${key} is set.`);
        setSecret(false);
      }}
    >
      <label>
        <input type="checkbox" checked={isSecret} onChange={(event) => setSecret(event.target.checked)} />
        Secret
      </label>
    </NewValue>
  );
}

function List({ of, variables: known }: { of: UserFunction; variables: Variable[] | undefined }) {
  const toast = useToast();
  const remove = useChange((key: string) => deleteVariable(of.id, key), [variables(of.id).queryKey]);
  return (
    <ValueList
      label="Variables"
      columns={COLUMNS}
      rows={known}
      nameOf={({ key }) => key}
      removeLabelOf={({ key }) => `Remove ${key}`}
      consequenceOf={() => "Requests from now on find nothing under this name."}
      isBusy={remove.isPending}
      onRemove={({ key }) => remove.mutateAsync(key).then(() => toast.done(`${key} is removed.`))}
    />
  );
}

function Value({ of: { value, secret } }: { of: Variable }) {
  if (secret || value === null) return <span className={style.soft}>secret, never shown</span>;
  return value === "" ? <span className={style.soft}>empty</span> : <code title={value}>{value}</code>;
}
