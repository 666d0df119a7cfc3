/** What is set for a person: the account, its keys, how the pages look; and for the owner, the server. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import * as queries from "../api/queries.ts";
import type { AccountKey, ServerSettings } from "../api/types.ts";
import { useSignOut } from "../components/account_menu.tsx";
import { Button } from "../components/button.tsx";
import { Copyable } from "../components/copy.tsx";
import { Dialog } from "../components/dialog.tsx";
import { Empty } from "../components/empty.tsx";
import { Field } from "../components/field.tsx";
import { Card, Page, Section } from "../components/page.tsx";
import { ConnectApp } from "../components/connect_app.tsx";
import { SignInForm } from "../components/sign_in.tsx";
import { type Column, Table } from "../components/table.tsx";
import { Ago } from "../components/time.tsx";
import { useToast } from "../components/toast.tsx";
import { setTheme, THEMES, useTheme } from "../theme.ts";
import { useTitle } from "../title.ts";
import style from "./settings.module.css";

export function SettingsPage() {
  useTitle("Settings");
  const { data: me } = useQuery(queries.me);
  return (
    <Page title="Settings" isNarrow>
      <Account />
      <ApiKeys />
      <ConnectApp />
      <Appearance />
      {me?.workflowState === "user" && <Server />}
    </Page>
  );
}

function Account() {
  const { data: me } = useQuery(queries.me);
  const { signOut, isPending } = useSignOut();
  if (!me) return <Section title="Account">{null}</Section>;
  if (me.workflowState === "guest") {
    return (
      <Section
        title="Account"
        about="You are a guest. Sign in, and your hooks are yours in every browser, not only this one."
      >
        <Card>
          <SignInForm />
        </Card>
      </Section>
    );
  }
  return (
    <Section title="Account">
      <Card>
        <div className={style.line}>
          <p>
            Signed in as <strong>{me.email}</strong>
          </p>
          <Button isBusy={isPending} onClick={signOut}>
            Sign out
          </Button>
        </div>
      </Card>
    </Section>
  );
}

const KINDS: Record<AccountKey["type"], { name: string; about: string }> = {
  api: { name: "API", about: "For programs: it does with hooks what you do." },
  worker: { name: "Worker", about: "For workers: it takes jobs and does nothing else." },
};

function ApiKeys() {
  const { data: keys } = useQuery(queries.accountKeys);
  const [revoking, setRevoking] = useState<AccountKey>();
  const columns: Column<AccountKey>[] = [
    {
      name: "Name",
      width: "minmax(6rem, 1fr)",
      cell: ({ name }) => name || <span className={style.soft}>unnamed</span>,
    },
    {
      name: "Kind",
      width: "5rem",
      cell: ({ type }) => <span title={KINDS[type].about}>{KINDS[type].name}</span>,
      isWide: true,
    },
    { name: "Made", width: "6.5rem", cell: ({ createdAt }) => <Ago at={createdAt} />, isWide: true },
    {
      name: "Last used",
      width: "6.5rem",
      cell: ({ lastUsedAt }) =>
        lastUsedAt === null ? <span className={style.soft}>never</span> : <Ago at={lastUsedAt} />,
    },
    {
      name: "Revoke",
      isNameUnseen: true,
      width: "5rem",
      cell: (key) => (
        <Button kind="quiet" aria-label={`Revoke ${key.name || "unnamed key"}`} onClick={() => setRevoking(key)}>
          Revoke
        </Button>
      ),
    },
  ];
  return (
    <Section title="API keys" about="A key lets a program in without you. It is shown once, when it is made.">
      <NewKey />
      <Card isFlush>
        {keys?.length === 0 ? (
          <Empty title="No keys yet">Name one after where it will be used, and make it.</Empty>
        ) : (
          <Table
            label="API keys"
            columns={columns}
            count={keys?.length ?? 1}
            row={(index) => keys?.[index]}
            rowHeight={40}
          />
        )}
      </Card>
      <Revoking accountKey={revoking} onClose={() => setRevoking(undefined)} />
    </Section>
  );
}

function NewKey() {
  const [name, setName] = useState("");
  const [type, setType] = useState<AccountKey["type"]>("api");
  const toast = useToast();
  const make = queries.useChange(queries.makeAccountKey, [queries.accountKeys.queryKey]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    make.mutate({ type, name: name.trim() }, { onSuccess: () => setName(""), onError: toast.failed });
  };
  return (
    <>
      <form className={style.newKey} onSubmit={submit}>
        <Field label="Name" placeholder="ci" value={name} onChange={(event) => setName(event.target.value)} />
        <Field
          as="select"
          label="Kind"
          value={type}
          onChange={(event) => setType(event.target.value as AccountKey["type"])}
        >
          {Object.entries(KINDS).map(([type, { name }]) => (
            <option key={type} value={type}>
              {name}
            </option>
          ))}
        </Field>
        <Button type="submit" icon="plus" isBusy={make.isPending}>
          New key
        </Button>
        <p className={style.kind}>{KINDS[type].about}</p>
      </form>
      <div role="status">
        {make.data && (
          <div className={style.made}>
            <p>
              <strong>{make.variables?.name || "The new key"}</strong> is made. Copy it now: it is not shown again.
            </p>
            <Copyable text={make.data.key} label="Copy key" />
            <Button onClick={make.reset}>Done</Button>
          </div>
        )}
      </div>
    </>
  );
}

function Revoking({ accountKey, onClose }: { accountKey: AccountKey | undefined; onClose: () => void }) {
  const toast = useToast();
  const revoke = queries.useChange(queries.revokeAccountKey, [queries.accountKeys.queryKey]);
  const name = accountKey?.name ? `‘${accountKey.name}’` : "This key";
  return (
    <Dialog title="Revoke key" isOpen={accountKey !== undefined} onClose={onClose}>
      <p>{name} stops working within 5 seconds, wherever it is used. This cannot be undone.</p>
      <div className={style.line}>
        <Button onClick={onClose}>Keep it</Button>
        <Button
          kind="danger"
          isBusy={revoke.isPending}
          onClick={() =>
            accountKey &&
            revoke.mutate(accountKey.id, {
              onSuccess: () => {
                toast.done(`${name} is revoked.`);
                onClose();
              },
              onError: toast.failed,
            })
          }
        >
          Revoke
        </Button>
      </div>
    </Dialog>
  );
}

function Appearance() {
  const chosen = useTheme();
  return (
    <Section title="Appearance" about="Kept in this browser.">
      <Card>
        <fieldset className={style.themes}>
          <legend>Theme</legend>
          {THEMES.map(({ theme, name }) => (
            <label key={theme}>
              <input type="radio" name="theme" checked={theme === chosen} onChange={() => setTheme(theme)} />
              {name}
            </label>
          ))}
        </fieldset>
      </Card>
    </Section>
  );
}

const SERVER: { setting: keyof ServerSettings; name: string; about: string; on: string; off: string }[] = [
  {
    setting: "closedToGuests",
    name: "Closed to guests",
    about: "Nobody begins without signing in. Guests who are here keep what they have, and can sign in.",
    on: "The server is closed to guests.",
    off: "The server is open to guests.",
  },
  {
    setting: "closedToNewUsers",
    name: "Closed to new users",
    about: "Only an address that has an account can sign in; a link to any other is not sent.",
    on: "The server is closed to new users.",
    off: "The server is open to new users.",
  },
  {
    setting: "resumeConnected",
    name: "Resume connected runs",
    about:
      "When a connected app ended in the middle of a run and comes back, its backgroundable actions go on by themselves.",
    on: "Runs of connected apps go on by themselves.",
    off: "Runs of connected apps wait for Resume.",
  },
];

/** Who does not own the server is refused, and sees nothing of it. */
function Server() {
  const { data: me } = useQuery(queries.me);
  const { data: settings } = useQuery({ ...queries.serverSettings, enabled: me?.isOwner === true });
  const cache = useQueryClient();
  const toast = useToast();
  const change = queries.useChange(queries.changeServerSettings);
  const set = (row: (typeof SERVER)[number], isOn: boolean, isUndo = false) =>
    change.mutate(
      { [row.setting]: isOn },
      {
        onSuccess: (settings) => {
          cache.setQueryData(queries.serverSettings.queryKey, settings);
          const undo = isUndo ? undefined : () => set(row, !isOn, true);
          toast.done(isOn ? row.on : row.off, undo);
        },
        onError: toast.failed,
      },
    );
  if (!settings) return null;
  return (
    <Section title="Server" about="You signed in first, so the server is yours. Only you see this.">
      <Card>
        {SERVER.map((row) => (
          <div key={row.setting} className={style.switch}>
            <input
              type="checkbox"
              id={row.setting}
              checked={settings[row.setting]}
              onChange={(event) => set(row, event.target.checked)}
              aria-describedby={`${row.setting}-about`}
            />
            <label htmlFor={row.setting}>{row.name}</label>
            <p id={`${row.setting}-about`} className={style.soft}>
              {row.about}
            </p>
          </div>
        ))}
      </Card>
    </Section>
  );
}
