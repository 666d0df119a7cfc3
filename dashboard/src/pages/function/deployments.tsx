/** The tab Deployments: every state of the code that was sent, which of them answers, and the way back. */

import { useQuery } from "@tanstack/react-query";
import { activate, cancelBuild, deployments, isBuilding, userFunction } from "../../api/functions.ts";
import { useChange } from "../../api/queries.ts";
import type { Deployment, UserFunction } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Empty } from "../../components/empty.tsx";
import { Framed, Section, Sections } from "../../components/tab_section.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { useOpened } from "../../components/tabs.tsx";
import { Ago } from "../../components/time.tsx";
import { useToast } from "../../components/toast.tsx";
import { bytes, milliseconds } from "../../components/units.ts";
import { DeploymentSheet } from "./deployment_sheet.tsx";
import { DeploymentState, digitsOf } from "./deployment_status.tsx";
import style from "./deployments.module.css";
import { FromTerminal, Upload } from "./upload.tsx";

const SKELETON_ROWS = 2;

export function Deployments({ of }: { of: UserFunction }) {
  const { data: known } = useQuery(deployments(of.id));
  const [opened, open] = useOpened("deployment");
  return (
    <Sections>
      <Section
        title="Deploy"
        why="The folder of the code, packed. It is built here, in the sandbox, and what answers now goes on until that is done."
      >
        <Upload of={of} />
        <details className={style.terminal}>
          <summary>From a terminal</summary>
          <FromTerminal of={of} />
        </details>
      </Section>
      <Section title="Deployments">
        {known?.length === 0 ? (
          <Empty title="No deployments yet">
            Choose an archive above, or run <code>everfold deploy DIR --publish</code>. Each one stays here, to go back
            to.
          </Empty>
        ) : (
          <List of={of} deployments={known} opened={opened} onOpen={open} />
        )}
      </Section>
      {opened !== undefined && known && (
        <DeploymentSheet of={of} deployments={known} id={opened} onClose={() => open(undefined)} />
      )}
    </Sections>
  );
}

interface ListProps {
  of: UserFunction;
  deployments: Deployment[] | undefined;
  opened: string | undefined;
  onOpen: (id: string) => void;
}

function List({ of, deployments, opened, onOpen }: ListProps) {
  const columns: Column<Deployment>[] = [
    { name: "Code", width: "minmax(4.5rem, 1fr)", cell: (deployment) => <code>{digitsOf(deployment)}</code> },
    { name: "Status", width: "6rem", cell: (deployment) => <DeploymentState of={deployment} /> },
    { name: "Sent", width: "6rem", cell: ({ createdAt }) => <Ago at={createdAt} />, isWide: true },
    { name: "Size", width: "5rem", cell: ({ bytes: sent }) => <Soft>{bytes(sent)}</Soft>, isWide: true },
    { name: "Built in", width: "5rem", cell: (deployment) => <Soft>{builtIn(deployment)}</Soft>, isWide: true },
    {
      name: "Change",
      isNameUnseen: true,
      width: "7rem",
      cell: (deployment) => <Change of={of} deployment={deployment} deployments={deployments ?? []} />,
    },
  ];
  return (
    <Framed>
      <Table
        label="Deployments"
        columns={columns}
        count={deployments?.length ?? SKELETON_ROWS}
        row={(index) => deployments?.[index]}
        onOpen={({ id }) => onOpen(id)}
        isOpened={({ id }) => id === opened}
        rowHeight={40}
      />
    </Framed>
  );
}

const Soft = ({ children }: { children: string }) => <span className={style.soft}>{children}</span>;

/** With the time that it waited. */
function builtIn({ createdAt, endedAt, status }: Deployment): string {
  return endedAt === null || status === "cancelled" ? "–" : milliseconds(Math.max(0, endedAt - createdAt));
}

interface ChangeProps {
  of: UserFunction;
  deployment: Deployment;
  deployments: readonly Deployment[];
}

/** The one thing that can be done with a deployment where it stands. */
export function Change({ of, deployment, deployments }: ChangeProps) {
  const toast = useToast();
  const turn = useActivate(of);
  const cancel = useChange(() => cancelBuild(of.id, deployment.id), [userFunction(of.id).queryKey]);
  const digits = digitsOf(deployment);
  if (isBuilding(deployment)) {
    return (
      <span className={style.change}>
        <Button
          icon="cross"
          aria-label={`Cancel the build of ${digits}`}
          isBusy={cancel.isPending}
          onClick={(event) => {
            event.stopPropagation();
            cancel.mutateAsync(undefined).then(() => toast.done(`The build of ${digits} is cancelled.`), toast.failed);
          }}
        >
          Cancel
        </Button>
      </span>
    );
  }
  if (deployment.status !== "ready" || deployment.isActive) return null;
  const active = deployments.find(({ isActive }) => isActive);
  const verb = active && active.createdAt > deployment.createdAt ? "Roll back" : "Activate";
  return (
    <span className={style.change}>
      <Button
        icon={verb === "Activate" ? "check" : "restore"}
        aria-label={verb === "Activate" ? `Activate ${digits}` : `Roll back to ${digits}`}
        isBusy={turn.isPending}
        onClick={(event) => {
          event.stopPropagation();
          turn.to(deployment, active);
        }}
      >
        {verb}
      </Button>
    </span>
  );
}

/** Done at once, and undone as easily: what answered before is there still. */
export function useActivate(of: UserFunction) {
  const toast = useToast();
  const change = useChange((id: string) => activate(of.id, id), [userFunction(of.id).queryKey, ["functions"]]);
  const to = (deployment: Deployment, before: Deployment | undefined) => {
    const undo = before && (() => to(before, undefined));
    // The promise outlives the row, whose button goes.
    change
      .mutateAsync(deployment.id)
      .then(() => toast.done(`Requests go to ${digitsOf(deployment)} from now on.`, undo), toast.failed);
  };
  return { to, isPending: change.isPending };
}
