/** A file, or several: laid where the action can fetch it, and told by its address. */

import { useEffect, useId, useRef, useState } from "react";
import { put } from "../../api/http.ts";
import { placeForUpload } from "../../api/runs.ts";
import type { UploadPlace } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Icon } from "../../components/icon.tsx";
import { Meter } from "../../components/meter.tsx";
import { bytes } from "../../components/units.ts";
import type { Common, Input, InputProps, Shown } from "../component.ts";
import style from "./file.module.css";
import { Frame } from "./frame.tsx";
import { noteOf } from "./note.ts";

interface Props extends Common {
  allowedExtensions?: string[];
  /** Null: the action's own host says where files go. */
  fileUrls?: UploadPlace[] | null;
}

type Uploaded = { name: string; type: string; lastModified: number; size: number; url: string };
type Draft = Uploaded[];

interface Sending {
  id: number;
  file: File;
  share: number;
  failed?: string;
  stop: AbortController;
}

function FileField({ shown, draft, onChange, error, isReadOnly, ask, onBusy }: InputProps<Props, Draft>) {
  const id = useId();
  const { label, isMultiple, props } = shown;
  const { sending, send, drop } = useSending(shown, draft, onChange, ask, onBusy);
  const isOff = isReadOnly || props.disabled;
  const extensions = props.allowedExtensions?.map((extension) => `.${extension.replace(/^\./, "")}`);
  return (
    <Frame label={label} htmlFor={id} hint={props.helpText} note={noteOf(shown, extensions?.join(" "))} error={error}>
      {!isOff && (
        <div className={style.drop}>
          <input
            id={id}
            type="file"
            multiple={isMultiple}
            accept={extensions?.join(",")}
            aria-invalid={error ? true : undefined}
            onChange={(event) => {
              send([...(event.target.files ?? [])]);
              // The same file may be chosen again.
              event.target.value = "";
            }}
          />
          <span className={style.where}>or drop {isMultiple ? "files" : "a file"} here</span>
        </div>
      )}
      {(draft.length > 0 || sending.length > 0) && (
        <ul className={style.files} aria-label="Chosen files">
          {draft.map((file) => (
            <li key={file.url}>
              <Icon name="check" />
              <a href={file.url} target="_blank" rel="noopener noreferrer">
                {file.name}
              </a>
              <span className={style.size}>{bytes(file.size)}</span>
              {!isOff && (
                <Button
                  kind="quiet"
                  icon="cross"
                  aria-label={`Remove ${file.name}`}
                  onClick={() => onChange(draft.filter((other) => other !== file))}
                />
              )}
            </li>
          ))}
          {sending.map((one) => (
            <li key={one.id}>
              {one.failed ? (
                <p className={style.failed} role="alert">
                  {one.file.name} could not be uploaded. {one.failed}
                </p>
              ) : (
                <div className={style.sending}>
                  <Meter
                    label={one.file.name}
                    held={one.share}
                    max={1}
                    words={`${Math.round(one.share * 100)} % of ${bytes(one.file.size)}`}
                  />
                </div>
              )}
              <Button kind="quiet" icon="cross" aria-label={`Remove ${one.file.name}`} onClick={() => drop(one)} />
            </li>
          ))}
        </ul>
      )}
    </Frame>
  );
}

function useSending(
  { isMultiple, props }: Shown<Props>,
  draft: Draft,
  onChange: (draft: Draft) => void,
  ask: InputProps<Props, Draft>["ask"],
  onBusy: (isBusy: boolean) => void,
) {
  const [sending, setSending] = useState<Sending[]>([]);
  const next = useRef(0);
  const newest = useRef({ draft, onChange, onBusy });
  newest.current = { draft, onChange, onBusy };
  const isBusy = sending.some(({ failed }) => failed === undefined);
  useEffect(() => newest.current.onBusy(isBusy), [isBusy]);
  const stops = useRef(new Set<AbortController>());
  useEffect(() => {
    const all = stops.current;
    return () => {
      for (const stop of all) stop.abort();
    };
  }, []);

  const change = (id: number, what: Partial<Sending>) =>
    setSending((all) => all.map((one) => (one.id === id ? { ...one, ...what } : one)));
  const leave = (id: number) => setSending((all) => all.filter((one) => one.id !== id));

  const upload = async ({ id, file, stop }: Sending, place: Promise<UploadPlace>) => {
    try {
      const { uploadUrl, downloadUrl } = await place;
      await put(uploadUrl, file, (share) => change(id, { share }), stop.signal);
      const { name, type, lastModified, size } = file;
      const uploaded = { name, type, lastModified, size, url: downloadUrl };
      // Two that end together are both kept.
      const all = isMultiple ? [...newest.current.draft, uploaded] : [uploaded];
      newest.current.draft = all;
      newest.current.onChange(all);
      leave(id);
    } catch (error) {
      if (!stop.signal.aborted) change(id, { failed: error instanceof Error ? error.message : "" });
    } finally {
      stops.current.delete(stop);
    }
  };

  const send = (files: File[]) => {
    const wanted = isMultiple ? files : files.slice(0, 1);
    if (wanted.length === 0) return;
    const all = wanted.map((file): Sending => {
      const stop = new AbortController();
      stops.current.add(stop);
      return { id: next.current++, file, share: 0, stop };
    });
    setSending((before) => [...before.filter(({ failed }) => isMultiple && failed === undefined), ...all]);
    const places = placesFor(wanted, props, ask);
    for (const [index, one] of all.entries()) void upload(one, places(index));
  };

  const drop = (one: Sending) => {
    one.stop.abort();
    leave(one.id);
  };
  return { sending, send, drop };
}

/** Of this server, unless the action's host has places of its own. */
function placesFor(files: File[], { fileUrls }: Props, ask: InputProps<Props, Draft>["ask"]) {
  if (fileUrls === undefined) {
    return async (index: number) => {
      const { name, type, size } = files[index] as File;
      const { uploadUrl, downloadUrl } = await placeForUpload({ name, type, size });
      // The page may know the server by another name than the action does.
      return { uploadUrl: new URL(uploadUrl, location.href).pathname, downloadUrl };
    };
  }
  const asked = ask({ files: files.map(({ name, type }) => ({ name, type })) });
  return async (index: number) => {
    const place = ((await asked).props as Props).fileUrls?.[index];
    if (!place) throw new Error("The action gave no place for it.");
    return place;
  };
}

export const file: Input<Props, Draft> = {
  Field: FileField,
  begin: () => [],
  answer: (draft, { isMultiple }) => (isMultiple && draft.length > 0 ? draft : (draft[0] ?? null)),
  draftOf: (value) => (Array.isArray(value) ? (value as Draft) : value ? [value as Uploaded] : []),
  words: (value, shown) =>
    file
      .draftOf(value, shown)
      .map(({ name }) => name)
      .join(", "),
};
