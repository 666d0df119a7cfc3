/** The code of a hook: edited as a draft, tried out, and made what everybody meets. */

import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { Link, useSearchParams } from "wouter";
import { actions, pathOf } from "../../api/actions.ts";
import { Problem } from "../../api/http.ts";
import { head } from "../../api/live.ts";
import * as queries from "../../api/queries.ts";
import type { Hook, Preview } from "../../api/types.ts";
import { ADD_ACTION, withAction } from "../../components/add_action.tsx";
import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import form from "../../components/form.module.css";
import { Icon } from "../../components/icon.tsx";
import { Patch } from "../../components/patch.tsx";
import { ReplayBar } from "../../components/replay_bar.tsx";
import { count } from "../../components/time.tsx";
import { useCommands } from "../../commands.ts";
import { useToast } from "../../components/toast.tsx";
import type { Wrong } from "../../editor/editor.tsx";
import style from "./code.module.css";
import { Send } from "./send.tsx";

const Editor = lazy(() => import("../../editor/editor.tsx"));

export function Code({ hook }: { hook: Hook }) {
  const { id, draft, published } = hook;
  const toast = useToast();
  const [edited, setEdited] = useState<string>();
  const [refused, setRefused] = useState<Problem>();
  const [previewed, setPreviewed] = useState<Preview>();
  const { data: newest } = useQuery(head(id));
  const { data: replay } = useQuery(queries.replay(id));
  const code = edited ?? draft.code;
  const isChanged = edited !== undefined && edited !== draft.code;
  // Not when the saving returns: until the draft is here, what was edited is all there is.
  if (edited === draft.code) setEdited(undefined);
  const isUnpublished = code !== published?.code;

  const failed = (error: Error) => {
    if (error instanceof Problem && error.more.line !== undefined) setRefused(error);
    else toast.failed(error);
  };
  const saved = queries.useChange(
    async (code: string) => queries.changeHook(id, { code }),
    [queries.hook(id).queryKey],
  );
  const save = async () => {
    if (isChanged) await saved.mutateAsync(code);
  };
  const tried = queries.useChange(() => queries.preview(id, code));
  const preview = () => tried.mutate(undefined, { onError: failed, onSuccess: setPreviewed });
  const put = queries.useChange(async () => {
    await save();
    const before = published?.version;
    const { version, total } = await queries.publish(id);
    return { before, version, total };
  }, [queries.hook(id).queryKey, queries.versions(id).queryKey, queries.replay(id).queryKey, actions.queryKey]);
  const publish = () => {
    setPreviewed(undefined);
    put.mutate(undefined, {
      onError: failed,
      onSuccess: ({ before, version, total }) => {
        const words = total === 0 ? "" : ` ${count(total)} requests are folded again.`;
        const undo = before === undefined ? undefined : () => void queries.restore(id, before).catch(toast.failed);
        toast.done(`Version ${version} is published.${words}`, undo);
      },
    });
  };
  const keep = () => {
    void save().then(() => toast.done("The draft is saved."), toast.failed);
  };

  const addAction = () => {
    const added = withAction(code);
    if (added === undefined) return toast.done("This hook has actions already: add yours to them.");
    setEdited(added);
    toast.done("An action stands at the end of the code. Publish it to run it.", () => setEdited(edited));
  };
  useAsked(addAction);

  useCommands([
    { name: "Save the draft", run: keep, keys: "Ctrl S" },
    { name: "Preview what publishing would change", run: preview },
    { name: "Publish", run: publish },
    { name: "Add an action", run: addAction },
  ]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "s") return;
      event.preventDefault();
      keep();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });
  useEffect(() => {
    if (!isChanged) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [isChanged]);

  const wrong = useMemo<Wrong[]>(() => {
    if (!refused) return [];
    return [{ line: Number(refused.more.line), column: Number(refused.more.column ?? 1), words: refused.message }];
  }, [refused]);

  return (
    <div className={style.pane}>
      <div className={style.tools}>
        <p className={style.version}>
          {isChanged ? (
            <>
              <Icon name="change" /> not saved
            </>
          ) : isUnpublished ? (
            <>
              <Icon name="clock" /> draft, not published
            </>
          ) : (
            <>
              <Icon name="check" /> version {published?.version} is published
            </>
          )}
        </p>
        <Button onClick={keep} disabled={!isChanged} isBusy={saved.isPending} aria-keyshortcuts="Control+S Meta+S">
          Save
        </Button>
        <Button onClick={preview} isBusy={tried.isPending}>
          Preview
        </Button>
        <Button kind="main" onClick={publish} isBusy={put.isPending || replay?.status === "running"}>
          Publish
        </Button>
      </div>
      {refused && (
        <p role="alert" className={style.refused}>
          <Icon name="warning" />
          <span>
            {refused.message} <span className={style.hint}>{refused.hint}</span>
          </span>
        </p>
      )}
      <div className={style.replaying}>
        <ReplayBar id={id} />
      </div>
      <ActionsOf hook={hook} />
      <div className={style.editor}>
        <Suspense fallback={<pre className={style.still}>{code}</pre>}>
          <Editor
            label="Code"
            value={code}
            wrong={wrong}
            state={newest?.state ?? null}
            onChange={(code) => {
              setEdited(code);
              setRefused(undefined);
            }}
          />
        </Suspense>
      </div>
      <Send hook={hook} />
      <Dialog
        title="What publishing would change"
        isOpen={previewed !== undefined}
        onClose={() => setPreviewed(undefined)}
      >
        {previewed && <Previewed preview={previewed} onPublish={publish} />}
      </Dialog>
    </div>
  );
}

/** A page elsewhere may lead here for an action to be added: done once, though the page be drawn twice or loaded again. */
function useAsked(addAction: () => void) {
  const [search, setSearch] = useSearchParams();
  const isAsked = search.toString().includes(ADD_ACTION);
  const asked = useRef(false);
  useEffect(() => {
    if (!isAsked || asked.current) return;
    asked.current = true;
    setSearch(
      (search) => new URLSearchParams([...search].filter(([name, value]) => `${name}=${value}` !== ADD_ACTION)),
      {
        replace: true,
      },
    );
    addAction();
  });
}

/** What people can run of what is published here. */
function ActionsOf({ hook }: { hook: Hook }) {
  const { data: known } = useQuery(actions);
  const own = known?.filter(({ hookId, isPage }) => hookId === hook.id && !isPage) ?? [];
  if (own.length === 0) return null;
  return (
    <nav className={style.actions} aria-label="Actions of this hook">
      {own.map(({ slug, name }) => (
        <Link key={slug} href={`/a/${pathOf(slug)}`}>
          Run {name}
        </Link>
      ))}
    </nav>
  );
}

function Previewed({ preview, onPublish }: { preview: Preview; onPublish: () => void }) {
  const { total, changed, firstDifferentSeq, errors, before, patch } = preview;
  return (
    <>
      <p>
        {changed === 0 ? (
          <>The state would be the same after each of {count(total)} requests.</>
        ) : (
          <>
            The state would differ after {count(changed)} of {count(total)} requests
            {firstDifferentSeq !== null && <>, for the first time after request {count(firstDifferentSeq)}</>}.
          </>
        )}
      </p>
      {patch.length > 0 && <Patch label="What would change" patch={patch} before={before} />}
      {errors.length > 0 && (
        <section className={style.errors} aria-labelledby="preview-errors">
          <h3 id="preview-errors">Requests on which this code fails</h3>
          <ul>
            {errors.map(({ seq, error }) => (
              <li key={seq}>
                <Icon name="warning" /> request {count(seq)}: {error.name}: {error.message}
              </li>
            ))}
          </ul>
        </section>
      )}
      <div className={form.answers}>
        <Button kind="main" onClick={onPublish}>
          Publish it
        </Button>
      </div>
    </>
  );
}
