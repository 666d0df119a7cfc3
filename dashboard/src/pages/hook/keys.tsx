/** The tab Keys: who may send requests, who may read the state, and how. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import * as queries from "../../api/queries.ts";
import type { Hook, Key } from "../../api/types.ts";
import { Button, LinkButton } from "../../components/button.tsx";
import { Confirm } from "../../components/confirm.tsx";
import { Copyable } from "../../components/copy.tsx";
import { Empty } from "../../components/empty.tsx";
import { Field } from "../../components/field.tsx";
import { Icon } from "../../components/icon.tsx";
import { Segments } from "../../components/segments.tsx";
import { Snippet } from "../../components/snippet.tsx";
import { useToast } from "../../components/toast.tsx";
import style from "./keys.module.css";
import { Section, Sections } from "../../components/tab_section.tsx";
import { LANGUAGES, type Language, languagesOf, snippetOf, urlOf } from "./snippets.ts";

const DIGITS_SHOWN = 8;

const nameOf = ({ type, key }: Key) => `${type} key ${key.slice(0, DIGITS_SHOWN)}`;

export function Keys({ hook }: { hook: Hook }) {
  const { data: keys } = useQuery(queries.keys(hook.id));
  return (
    <Sections>
      <KeysOf type="write" hook={hook} keys={keys} why="Whoever has one can send requests to this hook." />
      <KeysOf
        type="read"
        hook={hook}
        keys={keys}
        why="Whoever has one can read what its state is, now or at any request."
      />
      {keys && keys.length > 0 && <Use keys={keys} />}
    </Sections>
  );
}

interface KeysProps {
  type: Key["type"];
  hook: Hook;
  keys: Key[] | undefined;
  why: string;
}

function KeysOf({ type, hook, keys, why }: KeysProps) {
  const toast = useToast();
  const make = queries.useChange(() => queries.makeKey(hook.id, type), [["hook", hook.id]]);
  const own = keys?.filter((key) => key.type === type);
  return (
    <Section
      title={type === "read" ? "Read keys" : "Write keys"}
      why={why}
      actions={
        <Button
          icon="plus"
          isBusy={make.isPending}
          onClick={() =>
            make.mutateAsync(undefined).then(() => toast.done(`A new ${type} key is there.`), toast.failed)
          }
        >
          New {type} key
        </Button>
      }
    >
      {own?.length === 0 && (
        <Empty title={`No ${type} key`}>
          {type === "read" ? "Nobody can read the state from outside" : "Nobody can send requests"} until there is one:
          press <em>New {type} key</em>.
        </Empty>
      )}
      {own && own.length > 0 && (
        <ul className={style.keys} aria-label={type === "read" ? "Read keys" : "Write keys"}>
          {own.map((key) => (
            <Row key={key.key} of={key} hook={hook} />
          ))}
        </ul>
      )}
    </Section>
  );
}

function Row({ of: key, hook }: { of: Key; hook: Hook }) {
  const toast = useToast();
  const [isRevoking, setRevoking] = useState(false);
  const stale = [["hook", hook.id]];
  const pause = queries.useChange((paused: boolean) => queries.pauseKey(hook.id, key.key, paused), stale);
  const revoke = queries.useChange(() => queries.revokeKey(hook.id, key.key), stale);
  const isPaused = key.workflowState === "paused";
  const turn = (paused: boolean) =>
    pause
      .mutateAsync(paused)
      .then(
        () => toast.done(`The ${nameOf(key)} ${paused ? "is paused" : "works again"}.`, () => turn(!paused)),
        toast.failed,
      );
  return (
    <li className={style.key} aria-label={nameOf(key)}>
      <div className={style.url}>
        <Copyable text={urlOf(key)} label={`Copy URL of the ${nameOf(key)}`} />
      </div>
      <span className={`${style.state} ${isPaused ? style.paused : style.live}`}>
        <Icon name={isPaused ? "pause" : "check"} /> {key.workflowState}
      </span>
      <Button icon={isPaused ? "play" : "pause"} isBusy={pause.isPending} onClick={() => turn(!isPaused)}>
        {isPaused ? "Play" : "Pause"}
      </Button>
      <Button kind="danger" icon="bin" onClick={() => setRevoking(true)}>
        Revoke
      </Button>
      <Confirm
        title={`Revoke this ${key.type} key?`}
        verb="Revoke"
        isOpen={isRevoking}
        onClose={() => setRevoking(false)}
        isBusy={revoke.isPending}
        onConfirm={() =>
          revoke.mutateAsync(undefined).then(
            () => {
              setRevoking(false);
              toast.done(`The ${nameOf(key)} is revoked.`);
            },
            (error: Error) => {
              setRevoking(false);
              toast.failed(error);
            },
          )
        }
      >
        <p>
          <code>{urlOf(key)}</code>
        </p>
        <p>Whoever uses it is told that it is unknown from now on. It cannot be brought back; a pause can.</p>
      </Confirm>
    </li>
  );
}

/** How to call the chosen key from somewhere else. */
function Use({ keys }: { keys: Key[] }) {
  const [chosen, setChosen] = useState<string>();
  const [language, setLanguage] = useState<Language>("curl");
  const first = keys.find(({ type, workflowState }) => type === "write" && workflowState === "live") ?? keys[0];
  const key = keys.find(({ key }) => key === chosen) ?? first;
  if (!key) return null;
  const languages = languagesOf(key);
  const shown = languages.includes(language) ? language : "curl";
  return (
    <Section
      title="Use it"
      actions={
        key.type === "read" && (
          <LinkButton href={`/read/${key.key}`} target="_blank" rel="noreferrer" icon="play">
            Open the live page
          </LinkButton>
        )
      }
    >
      <div className={style.choice}>
        <Field as="select" label="Key" value={key.key} onChange={(event) => setChosen(event.target.value)}>
          {keys.map((key) => (
            <option key={key.key} value={key.key}>
              {nameOf(key)}
              {key.workflowState === "paused" ? ", paused" : ""}
            </option>
          ))}
        </Field>
        <Segments
          label="Language"
          shown={shown}
          onShow={setLanguage}
          segments={languages.map((name) => ({ name, words: LANGUAGES[name] }))}
        />
      </div>
      <Snippet text={snippetOf(key, shown)} label={`${LANGUAGES[shown]} for the ${nameOf(key)}`} />
    </Section>
  );
}
