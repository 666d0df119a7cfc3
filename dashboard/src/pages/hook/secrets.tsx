/** The tab Secrets: what code may know and nobody can read back. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import * as queries from "../../api/queries.ts";
import type { Hook } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Empty } from "../../components/empty.tsx";
import { wordsOf } from "../../components/json.ts";
import { NewValue, ValueList } from "../../components/named_values.tsx";
import { Section, Sections } from "../../components/tab_section.tsx";
import type { Column } from "../../components/table.tsx";
import { useToast } from "../../components/toast.tsx";
import style from "./secrets.module.css";

const DIGITS_SHOWN = 8;
const NAME_CHARS_MAX = 128;

interface Secret {
  name: string;
  hash: string;
}

const inCode = (name: string) => wordsOf([name], "secrets");

const COLUMNS: Column<Secret>[] = [
  { name: "Name", width: "minmax(0, 2fr)", cell: ({ name }) => <code title={inCode(name)}>{name}</code> },
  {
    name: "SHA-256",
    width: "minmax(4.5rem, 1fr)",
    cell: ({ hash }) => <code title={hash}>{hash.slice(0, DIGITS_SHOWN)}…</code>,
  },
];

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
  const [isShown, setShown] = useState(false);
  const set = queries.useChange(
    ([name, value]: [name: string, value: string]) => queries.setSecret(hook.id, name, value),
    [["hook", hook.id, "secrets"]],
  );
  return (
    <NewValue
      names={names}
      nameCharsMax={NAME_CHARS_MAX}
      isHidden={!isShown}
      isSecret
      isValueNeeded
      isBusy={set.isPending}
      onSave={async (name, value) => {
        await set.mutateAsync([name, value]);
        toast.done(`${inCode(name)} is kept.`);
        setShown(false);
      }}
    >
      <Button aria-pressed={isShown} aria-label="Show value" onClick={() => setShown(!isShown)}>
        {isShown ? "Hide" : "Show"}
      </Button>
    </NewValue>
  );
}

function List({ hook, secrets }: { hook: Hook; secrets: Secret[] | undefined }) {
  const toast = useToast();
  const remove = queries.useChange(
    (name: string) => queries.removeSecret(hook.id, name),
    [["hook", hook.id, "secrets"]],
  );
  return (
    <>
      <ValueList
        label="Secrets"
        columns={COLUMNS}
        rows={secrets}
        nameOf={({ name }) => name}
        consequenceOf={({ name }) => (
          <>
            To requests from now on, <code>{inCode(name)}</code> is <code>undefined</code>. The value cannot be brought
            back from here.
          </>
        )}
        isBusy={remove.isPending}
        onRemove={({ name }) => remove.mutateAsync(name).then(() => toast.done(`${inCode(name)} is removed.`))}
      />
      <p className={style.note}>
        The digits are how the SHA-256 of each value begins, so you can tell which value it is:{" "}
        <code>printf %s VALUE | sha256sum</code>
      </p>
    </>
  );
}
