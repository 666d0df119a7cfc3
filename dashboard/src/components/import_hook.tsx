/** Bringing a hook along: the file of an export, sent as it is. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useLocation } from "wouter";
import { Problem } from "../api/http.ts";
import * as queries from "../api/queries.ts";
import type { Hook } from "../api/types.ts";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";
import style from "./import_hook.module.css";
import { count } from "./time.tsx";
import { useToast } from "./toast.tsx";

type Importing = ReturnType<typeof useImport>;

export function useImport() {
  const cache = useQueryClient();
  const toast = useToast();
  const [, go] = useLocation();
  const [sent, setSent] = useState(0);
  const stop = useRef<AbortController>(undefined);
  const change = queries.useChange(
    (file: File) => {
      stop.current = new AbortController();
      setSent(0);
      return queries.importHook(file, setSent, stop.current.signal);
    },
    [queries.hooks.queryKey],
  );
  useEffect(() => () => stop.current?.abort(), []);
  return {
    sent,
    file: change.isIdle ? undefined : change.variables,
    isRunning: change.isPending,
    error: change.error ?? undefined,
    dismiss: () => {
      stop.current?.abort();
      change.reset();
    },
    begin: (file: File) =>
      change.mutate(file, {
        onSuccess: (hook) => {
          cache.setQueryData(queries.hook(hook.id).queryKey, hook);
          toast.done(`‘${hook.name}’ is here, with ${requestsOf(hook)}.`);
          go(`/hooks/${hook.id}`);
        },
      }),
  };
}

function requestsOf({ requestCount }: Hook): string {
  return requestCount === 1 ? "one request" : `${count(requestCount)} requests`;
}

export function ImportButton({ importing }: { importing: Importing }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        accept=".zst,.ndjson,application/zstd"
        hidden
        aria-label="An exported hook"
        onChange={({ target }) => {
          const file = target.files?.[0];
          // The same file again is a change again.
          target.value = "";
          if (file) importing.begin(file);
        }}
      />
      <Button
        icon="upload"
        isBusy={importing.isRunning}
        title="A file that a hook's Export gave"
        onClick={() => input.current?.click()}
      >
        Import
      </Button>
    </>
  );
}

export function ImportProgress({ importing }: { importing: Importing }) {
  const { file, sent, isRunning, error, dismiss } = importing;
  if (!file || (!isRunning && !error)) return null;
  if (error) {
    const hint = error instanceof Problem ? error.hint : undefined;
    return (
      <div role="alert" className={`${style.strip} ${style.bad}`}>
        <Icon name="warning" />
        <p>
          {file.name} was not imported. {error.message}
          {hint && <small>{hint}</small>}
        </p>
        <Button kind="quiet" icon="cross" aria-label="Dismiss" onClick={dismiss} />
      </div>
    );
  }
  const percent = Math.floor(sent * 100);
  return (
    <div className={style.strip}>
      <Icon name="upload" />
      <p>
        {percent < 100 ? `Sending ${file.name}, ${percent} %` : `Reading ${file.name}: every request and hash`}
        <progress aria-label={`Import of ${file.name}`} max={100} value={percent < 100 ? percent : undefined} />
      </p>
      <Button onClick={dismiss}>Cancel</Button>
    </div>
  );
}
