/** One execution, whole: what was asked, what was answered, and what it logged. */

import { useQuery } from "@tanstack/react-query";
import { deployments, execution as query } from "../../api/functions.ts";
import type { ExecutionBrief, UserFunction } from "../../api/types.ts";
import { Dialog } from "../../components/dialog.tsx";
import { Facts } from "../../components/facts.tsx";
import { Time } from "../../components/time.tsx";
import { digitsOf } from "./deployment_status.tsx";
import { Came } from "./execution.tsx";
import { ExecutionState, StatusCode, startOf, tookOf } from "./execution_status.tsx";

const TRIGGERS: Record<ExecutionBrief["trigger"], string> = {
  http: "a request to its address",
  api: "a call of the API",
  schedule: "its schedule",
};

export function ExecutionSheet({ of, id, onClose }: { of: UserFunction; id: string; onClose: () => void }) {
  const { data: execution, error } = useQuery(query(of.id, id));
  const { data: known } = useQuery(deployments(of.id));
  const deployment = known?.find(({ id }) => id === execution?.deployment);
  const title = execution ? `${execution.method} ${execution.path}` : "Execution";
  return (
    <Dialog title={title} isOpen isSheet onClose={onClose}>
      {error && <p role="alert">{error.message}</p>}
      {execution && (
        <>
          <Facts
            facts={[
              ["Status", <ExecutionState key="status" of={execution} />],
              ["Answered", execution.statusCode !== null && <StatusCode key="code" of={execution} />],
              ["Begun by", TRIGGERS[execution.trigger]],
              ["Begun", <Time key="begun" at={execution.createdAt} />],
              ["To run at", execution.scheduledAt !== null && <Time key="scheduled" at={execution.scheduledAt} />],
              ["Took", tookOf(execution)],
              ["Start", startOf(execution)],
              ["Deployment", deployment && <code key="deployment">{digitsOf(deployment)}</code>],
              ["Attempts", execution.attempts > 1 && execution.attempts],
              ["Id", <code key="id">{id}</code>],
            ]}
          />
          <Came execution={execution} />
        </>
      )}
    </Dialog>
  );
}
