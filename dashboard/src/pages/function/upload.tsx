/** Code on its way: an archive that is picked or dropped here. */

import { useEffect, useRef, useState } from "react";
import { useSearchParams } from "wouter";
import { deploy, deployments, userFunction } from "../../api/functions.ts";
import { useChange } from "../../api/queries.ts";
import type { UserFunction } from "../../api/types.ts";
import { quoted } from "../../components/curl.ts";
import { Button } from "../../components/button.tsx";
import { Meter } from "../../components/meter.tsx";
import { Refused } from "../../components/refused.tsx";
import { Snippet } from "../../components/snippet.tsx";
import { bytes } from "../../components/units.ts";
import style from "./upload.module.css";

export function Upload({ of }: { of: UserFunction }) {
  const [isToActivate, setToActivate] = useState(true);
  const { send, cancel, sending, error } = useDeploy(of, isToActivate);
  return (
    <div className={style.upload}>
      <div className={style.drop}>
        <input
          type="file"
          accept=".tar.gz,.tgz,.zip"
          aria-label="Code, as a .tar.gz or a .zip"
          disabled={sending !== undefined}
          onChange={({ target }) => {
            const file = target.files?.[0];
            // The same file again is a change again.
            target.value = "";
            if (file) send(file);
          }}
        />
        <span className={style.where} aria-hidden="true">
          a .tar.gz or a .zip, dropped here
        </span>
      </div>
      <label className={style.check}>
        <input type="checkbox" checked={isToActivate} onChange={(event) => setToActivate(event.target.checked)} />
        Activate it when it is built
      </label>
      {sending && (
        <div className={style.sending}>
          <Meter
            label={sending.file.name}
            held={sending.share}
            max={1}
            words={`${Math.round(sending.share * 100)} % of ${bytes(sending.file.size)}`}
          />
          <Button onClick={cancel}>Cancel</Button>
        </div>
      )}
      <Refused error={error} lead="It was not deployed." />
    </div>
  );
}

/** The same without a browser. A folder is deployed to the function that is called as it is. */
export function FromTerminal({ of }: { of: UserFunction }) {
  const address = `${location.origin}/api/functions/${of.id}/deployments`;
  return (
    <>
      <Snippet
        label="command to deploy"
        text={`everfold login ${location.origin}\neverfold deploy ${quoted(of.name)} --publish`}
      />
      <Snippet
        label="curl to deploy"
        text={`tar -czf code.tar.gz -C DIR .\ncurl -H "authorization: Bearer $EVERFOLD_KEY" -F code=@code.tar.gz \\\n  ${address}`}
      />
    </>
  );
}

/** Sends an archive, and leads to its build. */
export function useDeploy(of: UserFunction, isToActivate: boolean) {
  const [, setSearch] = useSearchParams();
  const [sending, setSending] = useState<{ file: File; share: number }>();
  const stop = useRef<AbortController>(undefined);
  const change = useChange(
    (file: File) => {
      const abort = new AbortController();
      stop.current = abort;
      setSending({ file, share: 0 });
      return deploy(of.id, file, isToActivate, (share) => setSending({ file, share }), abort.signal).finally(() =>
        setSending(undefined),
      );
    },
    [deployments(of.id).queryKey, userFunction(of.id).queryKey],
  );
  useEffect(() => () => stop.current?.abort(), []);
  return {
    sending,
    error: stop.current?.signal.aborted ? null : change.error,
    cancel: () => stop.current?.abort(),
    send: (file: File) =>
      change.mutate(file, { onSuccess: ({ id }) => setSearch({ tab: "deployments", deployment: id }) }),
  };
}
