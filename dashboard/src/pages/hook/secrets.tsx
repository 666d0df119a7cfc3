/** The tab Secrets: what code may know and nobody can read back. */

import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import * as queries from "../../api/queries.ts";
import type { Hook } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Confirm } from "../../components/confirm.tsx";
import { Empty } from "../../components/empty.tsx";
import { Field } from "../../components/field.tsx";
import { wordsOf } from "../../components/json.ts";
import { type Column, Table } from "../../components/table.tsx";
import { useToast } from "../../components/toast.tsx";
import style from "./secrets.module.css";
import { Section, Sections } from "../../components/tab_section.tsx";

const DIGITS_SHOWN = 8;

interface Secret {
  name: string;
  hash: string;
}

const inCode = (name: string) => wordsOf([name], "secrets");

export function Secrets({ hook }: { hook: Hook }) {
  const { data } = useQuery(queries.secrets(hook.id));
  const secrets = data && Object.entries(data).map(([name, hash]): Secret => ({ name, hash }));
  return (
    <Sections>
      <Section
        title="Secrets"
        why={
          <>
            Code sees each as <code>secrets.NAME</code>, and requests from now on see the new value. A value can be
            written here, never read back.
          </>
        }
      >
        <NewSecret hook={hook} names={secrets?.map(({ name }) => name) ?? []} />
        {secrets?.length === 0 ? (
          <Empty title="No secrets yet">
            Keep the key here that <code>verifyWebhook(request, secrets.NAME, "github")</code> checks, for example.
          </Empty>
        ) : (
          <List hook={hook} secrets={secrets} />
        )}
      </Section>
    </Sections>
  );
}

function NewSecret({ hook, names }: { hook: Hook; names: string[] }) {
  const toast = useToast();
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const [isShown, setShown] = useState(false);
  const [isChecked, setChecked] = useState(false);
  const set = queries.useChange(() => queries.setSecret(hook.id, name.trim(), value), [["hook", hook.id, "secrets"]]);
  const isThere = names.includes(name.trim());
  const save = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (name.trim() === "" || value === "" || set.isPending) return;
    set.mutateAsync(undefined).then(() => {
      toast.done(`${inCode(name.trim())} is kept.`);
      setName("");
      setValue("");
      setShown(false);
      setChecked(false);
    }, toast.failed);
  };
  return (
    <form className={style.form} onSubmit={save} autoComplete="off">
      <Field
        label="Name"
        spellCheck={false}
        autoCapitalize="off"
        autoComplete="off"
        maxLength={128}
        value={name}
        onChange={(event) => setName(event.target.value)}
        error={isChecked && name.trim() === "" ? "required" : undefined}
        hint={isThere ? "Saving replaces the value that is there." : undefined}
      />
      <div className={style.value}>
        <Field
          label="Value"
          type={isShown ? "text" : "password"}
          spellCheck={false}
          autoComplete="new-password"
          value={value}
          onChange={(event) => setValue(event.target.value)}
          error={isChecked && value === "" ? "required" : undefined}
        />
        <Button aria-pressed={isShown} aria-label="Show value" onClick={() => setShown(!isShown)}>
          {isShown ? "Hide" : "Show"}
        </Button>
      </div>
      <Button type="submit" kind="main" isBusy={set.isPending}>
        Save
      </Button>
    </form>
  );
}

function List({ hook, secrets }: { hook: Hook; secrets: Secret[] | undefined }) {
  const toast = useToast();
  const [removing, setRemoving] = useState<Secret>();
  const remove = queries.useChange(
    (name: string) => queries.removeSecret(hook.id, name),
    [["hook", hook.id, "secrets"]],
  );
  const columns: Column<Secret>[] = [
    { name: "Name", width: "minmax(0, 2fr)", cell: ({ name }) => <code title={inCode(name)}>{name}</code> },
    {
      name: "SHA-256",
      width: "minmax(4.5rem, 1fr)",
      cell: ({ hash }) => <code title={hash}>{hash.slice(0, DIGITS_SHOWN)}…</code>,
    },
    {
      name: "Remove",
      isNameUnseen: true,
      width: "6.75rem",
      cell: (secret) => (
        <span className={style.remove}>
          <Button kind="danger" icon="bin" onClick={() => setRemoving(secret)}>
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
          label="Secrets"
          columns={columns}
          count={secrets?.length ?? 2}
          row={(index) => secrets?.[index]}
          rowHeight={40}
        />
      </div>
      <p className={style.note}>
        The digits are how the SHA-256 of each value begins, so you can tell which value it is:{" "}
        <code>printf %s VALUE | sha256sum</code>
      </p>
      <Confirm
        title={`Remove ${removing?.name ?? ""}?`}
        verb="Remove"
        isOpen={removing !== undefined}
        onClose={() => setRemoving(undefined)}
        isBusy={remove.isPending}
        onConfirm={() => {
          if (!removing) return;
          remove
            .mutateAsync(removing.name)
            .then(() => toast.done(`${inCode(removing.name)} is removed.`), toast.failed)
            .finally(() => setRemoving(undefined));
        }}
      >
        <p>
          To requests from now on, <code>{inCode(removing?.name ?? "")}</code> is <code>undefined</code>. The value
          cannot be brought back from here.
        </p>
      </Confirm>
    </>
  );
}
