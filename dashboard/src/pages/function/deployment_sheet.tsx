/** One deployment: how it stands, what its build prints, and what can be done with it. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import {
  deleteDeployment,
  deployments as all,
  downloadPath,
  isBuilding,
  machine,
  useBuildLog,
} from "../../api/functions.ts";
import { useChange } from "../../api/queries.ts";
import type { Deployment, UserFunction } from "../../api/types.ts";
import { Button, LinkButton } from "../../components/button.tsx";
import { Confirm } from "../../components/confirm.tsx";
import { CopyButton } from "../../components/copy.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { Facts, Part } from "../../components/facts.tsx";
import { Printed } from "../../components/printed.tsx";
import { Time } from "../../components/time.tsx";
import { useToast } from "../../components/toast.tsx";
import { bytes } from "../../components/units.ts";
import { DeploymentState, digitsOf, treeOf } from "./deployment_status.tsx";
import style from "./deployment_sheet.module.css";
import { Change } from "./deployments.tsx";

interface Props {
  of: UserFunction;
  deployments: readonly Deployment[];
  id: string;
  onClose: () => void;
}

export function DeploymentSheet({ of, deployments, id, onClose }: Props) {
  const deployment = deployments.find((one) => one.id === id);
  return (
    <Dialog title={deployment ? `Deployment ${digitsOf(deployment)}` : "Deployment"} isOpen isSheet onClose={onClose}>
      {deployment ? (
        <Whole key={id} of={of} deployment={deployment} deployments={deployments} onClose={onClose} />
      ) : (
        <p role="alert">There is no such deployment any more.</p>
      )}
    </Dialog>
  );
}

function Whole({ of, deployment, deployments, onClose }: Omit<Props, "id"> & { deployment: Deployment }) {
  const { id, hash, runtime, entrypoint, build, error, createdAt, endedAt } = deployment;
  const { data } = useQuery(machine);
  return (
    <>
      <div className={style.tools}>
        <Change of={of} deployment={deployment} deployments={deployments} />
        <LinkButton icon="download" href={downloadPath(of.id, id)} download>
          Download
        </LinkButton>
        {!deployment.isActive && !isBuilding(deployment) && (
          <Delete of={of} deployment={deployment} onClose={onClose} />
        )}
      </div>
      <Facts
        facts={[
          ["Status", <DeploymentState key="status" of={deployment} />],
          ["Sent", <Time key="sent" at={createdAt} />],
          ["Ended", endedAt !== null && <Time key="ended" at={endedAt} />],
          [
            "Hash",
            <span key="hash" className={style.hash}>
              <code title={hash}>{hash.slice(0, 16)}…</code>
              <CopyButton text={hash} label="Copy the hash" />
            </span>,
          ],
          ["Size", bytes(deployment.bytes)],
          ["Built", treeOf(deployment)],
          ["Runtime", data?.objects.find(({ name }) => name === runtime)?.title ?? runtime],
          ["Entrypoint", entrypoint && <code key="entrypoint">{entrypoint}</code>],
          ["Build command", build && <code key="build">{build}</code>],
        ]}
      />
      {error && (
        <section className={style.failed} aria-label="Error">
          <p>{sentenceOf(error)}</p>
        </section>
      )}
      <Part title="Build log">
        <Log of={of} deployment={deployment} />
      </Part>
    </>
  );
}

/** Behind it stands what was printed last, which the log shows. */
const sentenceOf = (error: string) => error.split("\n")[0];

function Log({ of, deployment }: { of: UserFunction; deployment: Deployment }) {
  const log = useBuildLog(of.id, deployment.id);
  if (log?.text) return <Printed label="Build log" text={log.text} />;
  const isComing = isBuilding(deployment) && !log?.isOver;
  return <p className={style.soft}>{isComing ? "It has printed nothing yet." : "It printed nothing."}</p>;
}

function Delete({ of, deployment, onClose }: { of: UserFunction; deployment: Deployment; onClose: () => void }) {
  const toast = useToast();
  const [isAsking, setAsking] = useState(false);
  const remove = useChange(() => deleteDeployment(of.id, deployment.id), [all(of.id).queryKey]);
  const digits = digitsOf(deployment);
  return (
    <>
      <Button kind="danger" icon="bin" onClick={() => setAsking(true)}>
        Delete
      </Button>
      <Confirm
        title={`Delete deployment ${digits}?`}
        verb="Delete"
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        isBusy={remove.isPending}
        onConfirm={() =>
          remove.mutateAsync(undefined).then(
            () => {
              toast.done(`Deployment ${digits} is deleted.`);
              onClose();
            },
            (error: Error) => {
              setAsking(false);
              toast.failed(error);
            },
          )
        }
      >
        <p>What was sent, what was built of it, and the log are gone for good; there is no way back to it.</p>
      </Confirm>
    </>
  );
}
