/** A new function: what it is called, and what it is written in. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useLocation } from "wouter";
import { functions, machine, makeFunction, type NewFunction as Made, userFunction } from "../../api/functions.ts";
import { useChange } from "../../api/queries.ts";
import type { Runtime } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import form from "../../components/form.module.css";
import { Refused } from "../../components/refused.tsx";
import style from "./new_function.module.css";

/** What most people write in, and what is chosen for them where it is there. */
const USUAL = "node";

export function NewFunction({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  return (
    <Dialog title="New function" isOpen={isOpen} onClose={onClose}>
      <Form onClose={onClose} />
    </Dialog>
  );
}

function Form({ onClose }: { onClose: () => void }) {
  const cache = useQueryClient();
  const [, go] = useLocation();
  const { data } = useQuery(machine);
  const [name, setName] = useState("");
  const [slug, setSlug] = useState("");
  const [chosen, setChosen] = useState<string>();
  const [isChecked, setChecked] = useState(false);
  const make = useChange((body: Made) => makeFunction(body), [functions.queryKey]);
  const here = data?.objects.filter(({ available }) => available) ?? [];
  const runtime = chosen ?? (here.find(({ name }) => name === USUAL) ?? here[0])?.name;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (name.trim() === "" || !runtime || make.isPending) return;
    const body = { name: name.trim(), runtime, ...(slug.trim() !== "" && { slug: slug.trim() }) };
    make.mutate(body, {
      onSuccess: (made) => {
        cache.setQueryData(userFunction(made.id).queryKey, made);
        go(`/functions/${made.id}`);
      },
    });
  };
  return (
    <form className={form.form} onSubmit={submit}>
      <Field
        label="Name"
        autoComplete="off"
        value={name}
        error={isChecked && name.trim() === "" ? "required" : undefined}
        onChange={(event) => setName(event.target.value)}
      />
      <Field
        label="Slug"
        note="optional"
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        placeholder={slugOf(name) || "made of the name"}
        hint="The end of its address: a-z, 0-9 and -."
        value={slug}
        onChange={(event) => setSlug(event.target.value)}
      />
      <Runtimes runtimes={data?.objects ?? []} chosen={runtime} onChoose={setChosen} />
      <Refused error={make.error} />
      <div className={form.answers}>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" kind="main" disabled={!runtime} isBusy={make.isPending}>
          Create
        </Button>
      </div>
    </form>
  );
}

/** About as the server makes it. */
const slugOf = (name: string) =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");

interface RuntimesProps {
  runtimes: Runtime[];
  chosen: string | undefined;
  onChoose: (name: string) => void;
}

/** Those that are missing stand there, too, with what to install. */
function Runtimes({ runtimes, chosen, onChoose }: RuntimesProps) {
  const missing = runtimes.filter(({ available }) => !available);
  return (
    <>
      <fieldset className={style.runtimes}>
        <legend>Runtime</legend>
        {runtimes
          .filter(({ available }) => available)
          .map(({ name, title, version }) => (
            <label key={name} className={style.runtime}>
              <input
                type="radio"
                name="runtime"
                value={name}
                checked={chosen === name}
                onChange={() => onChoose(name)}
              />
              <b>{title}</b> <small>{version}</small>
            </label>
          ))}
      </fieldset>
      {missing.length > 0 && (
        <ul className={style.missing} aria-label="Not on this machine">
          {missing.map(({ name, reason }) => (
            <li key={name}>{reason}</li>
          ))}
        </ul>
      )}
    </>
  );
}
