/** The tab Versions: what was published when, what changed between, and the way back. */

import { useInfiniteQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import * as queries from "../../api/queries.ts";
import type { Hook, VersionListed } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { CopyButton } from "../../components/copy.tsx";
import { Empty } from "../../components/empty.tsx";
import { Icon, type IconName } from "../../components/icon.tsx";
import { ReplayBar } from "../../components/replay_bar.tsx";
import { Segments } from "../../components/segments.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Ago } from "../../components/time.tsx";
import { useToast } from "../../components/toast.tsx";
import { Sections } from "../../components/tab_section.tsx";
import style from "./versions.module.css";

const Diff = lazy(() => import("../../editor/diff.tsx"));

const STATES: Record<VersionListed["workflowState"], { word: string; icon: IconName }> = {
  draft: { word: "draft", icon: "change" },
  published: { word: "published", icon: "check" },
  old: { word: "old", icon: "clock" },
};

export function Versions({ hook }: { hook: Hook }) {
  const { data, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(queries.versions(hook.id));
  const [opened, setOpened] = useState<number>();
  const restore = useRestore(hook.id);
  const versions = data?.pages.flatMap(({ objects }) => objects);
  const shown = versions?.find(({ version }) => version === opened) ?? versions?.[0];
  const published = versions?.find(({ workflowState }) => workflowState === "published");

  const columns: Column<VersionListed>[] = [
    { name: "Version", width: "3.4rem", cell: ({ version }) => <code>{version}</code> },
    { name: "State", width: "minmax(6.2rem, 1fr)", cell: (version) => <State of={version} /> },
    { name: "Published", width: "minmax(5.5rem, 1fr)", isWide: true, cell: (version) => <Moment of={version} /> },
    {
      name: "Restore",
      isNameUnseen: true,
      width: "7rem",
      cell: ({ version, workflowState }) =>
        workflowState === "old" && (
          <span className={style.restore}>
            <Button
              icon="restore"
              aria-describedby={`version-${version}`}
              isBusy={restore.isPending && restore.version === version}
              onClick={(event) => {
                event.stopPropagation();
                restore.to(version, published?.version);
              }}
            >
              Restore
            </Button>
            <span id={`version-${version}`} className="unseen">{`version ${version}`}</span>
          </span>
        ),
    },
  ];
  return (
    <Sections>
      <div className={style.versions}>
        <div className={style.all}>
          <ReplayBar id={hook.id} />
          {!hook.published && versions && (
            <Empty title="Nothing is published yet">
              Publish the draft, and each version that was ever published stands here, to compare and to go back to.
            </Empty>
          )}
          <div className={style.list}>
            <Table
              label="Versions"
              columns={columns}
              count={versions?.length ?? 3}
              row={(index) => versions?.[index]}
              onOpen={({ version }) => setOpened(version)}
              isOpened={({ version }) => version === shown?.version}
              rowHeight={40}
            />
          </div>
          {hasNextPage && (
            <Button className={style.older} isBusy={isFetchingNextPage} onClick={() => fetchNextPage()}>
              Older
            </Button>
          )}
        </div>
        {versions && shown && <Code key={shown.version} of={shown} versions={versions} published={published} />}
      </div>
    </Sections>
  );
}

/** Going back is done at once, and undone as easily: the version before is kept as well. */
function useRestore(id: string) {
  const toast = useToast();
  const change = queries.useChange((version: number) => queries.restore(id, version), [["hook", id]]);
  const to = (version: number, before: number | undefined) => {
    const undo = before === undefined ? undefined : () => to(before, undefined);
    change.mutateAsync(version).then(() => toast.done(`Going back to version ${version}.`, undo), toast.failed);
  };
  return { to, isPending: change.isPending, version: change.variables };
}

function State({ of: { workflowState } }: { of: VersionListed }) {
  const { word, icon } = STATES[workflowState];
  return (
    <span className={`${style.state} ${style[workflowState]}`}>
      <Icon name={icon} /> {word}
    </span>
  );
}

function Moment({ of: { publishedAt, workflowState } }: { of: VersionListed }) {
  if (publishedAt !== null) return <Ago at={publishedAt} />;
  return <span className={style.never}>{workflowState === "draft" ? "not yet" : "never"}</span>;
}

type Look = "code" | "before" | "published";

interface CodeProps {
  of: VersionListed;
  versions: VersionListed[];
  published: VersionListed | undefined;
}

function Code({ of: shown, versions, published }: CodeProps) {
  const { version, workflowState, code } = shown;
  const before = versions.find((other) => other.version < version && other.publishedAt !== null);
  const looks = [
    { name: "code" as Look, words: "Code", other: undefined },
    ...(published && published !== shown && published !== before
      ? [{ name: "published" as Look, words: `Against published ${published.version}`, other: published }]
      : []),
    ...(before
      ? [
          {
            name: "before" as Look,
            words: `Changes since ${before.version}`,
            other: before,
          },
        ]
      : []),
  ];
  const [chosen, setChosen] = useState<Look>();
  // What differs from what runs now is what most come here for.
  const look = looks.find(({ name }) => name === chosen) ?? looks[1] ?? looks[0];
  const label = `Code of version ${version}${workflowState === "old" ? "" : `, ${workflowState}`}`;
  return (
    <section className={style.code} aria-label={label}>
      <header className={style.head}>
        <h2>Version {version}</h2>
        <span className={style.when}>
          {workflowState === "draft" ? "the draft" : "published "}
          {workflowState !== "draft" && <Moment of={shown} />}
        </span>
        <CopyButton text={code} label={`Copy the code of version ${version}`} />
        {looks.length > 1 && (
          <Segments label="What is shown" shown={look?.name ?? "code"} onShow={setChosen} segments={looks} />
        )}
      </header>
      {look?.other?.code === code ? (
        <p className={style.same}>The code is the same as that of version {look.other.version}.</p>
      ) : (
        <div className={style.box}>
          <Suspense fallback={<pre className={style.plain}>{code}</pre>}>
            <Diff
              label={look?.other ? `${label}, with what changed since version ${look.other.version}` : label}
              code={code}
              before={look?.other?.code}
            />
          </Suspense>
        </div>
      )}
    </section>
  );
}
