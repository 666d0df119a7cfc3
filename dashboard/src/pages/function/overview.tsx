/** The tab Overview: where the function is called, what answers there, and a request to try it with. */

import { useQuery } from "@tanstack/react-query";
import { useId } from "react";
import { Link, useSearchParams } from "wouter";
import { deployments, isBuilding } from "../../api/functions.ts";
import type { Deployment, UserFunction } from "../../api/types.ts";
import { Button, LinkButton } from "../../components/button.tsx";
import { Facts } from "../../components/facts.tsx";
import { Card, Section } from "../../components/page.tsx";
import { wordsOf } from "../../components/recurrence.ts";
import { Refused } from "../../components/refused.tsx";
import { Snippet } from "../../components/snippet.tsx";
import { Ago, count } from "../../components/time.tsx";
import { useActivate } from "./deployments.tsx";
import { DeploymentState, digitsOf, earlierOf, treeOf } from "./deployment_status.tsx";
import { exampleOf } from "./example.ts";
import style from "./overview.module.css";
import { Send } from "./send.tsx";
import { FromTerminal, Upload, useDeploy } from "./upload.tsx";

export function Overview({ of }: { of: UserFunction }) {
  const { data: known } = useQuery(deployments(of.id));
  const active = known?.find(({ isActive }) => isActive);
  const newest = known?.[0];
  const isFirst = of.activeDeployment === null;
  return (
    <div className={style.overview}>
      <div className={style.column}>
        {isFirst ? <First of={of} newest={newest} /> : of.runtime === FILES ? <Files of={of} /> : <Send of={of} />}
      </div>
      <div className={style.column}>
        {isFirst ? (
          <ExampleOf of={of} />
        ) : (
          <>
            <Active of={of} active={active} newest={newest} earlier={known && earlierOf(known)} />
            <Section title="Call it" about="From anywhere, with any method and any path behind the address.">
              <Snippet text={`curl ${of.url}`} label="curl to call it" />
            </Section>
          </>
        )}
      </div>
    </div>
  );
}

/** Nothing answers yet: what to do for it. */
function First({ of, newest }: { of: UserFunction; newest: Deployment | undefined }) {
  return (
    <>
      <Section title="Deploy your code" about="Nothing answers at the address yet. Send a folder of code, packed.">
        <Card>
          {newest && <Underway deployment={newest} />}
          <Upload of={of} />
        </Card>
      </Section>
      <Section
        title="Or from a terminal"
        about={
          <>
            From beside the folder of the code, which is called as the function is; or with curl, and a key from{" "}
            <Link href="/settings">Settings</Link>.
          </>
        }
      >
        <FromTerminal of={of} />
      </Section>
    </>
  );
}

/** The runtime that is none: files as they are. */
const FILES = "static";

function Files({ of }: { of: UserFunction }) {
  return (
    <Section
      title="Files"
      actions={
        <LinkButton icon="right" href={of.url} target="_blank" rel="noreferrer">
          Open the site
        </LinkButton>
      }
    >
      <Card>
        <p>Everfold serves these files itself: nothing is run for a request, and none is recorded.</p>
      </Card>
    </Section>
  );
}

/** What code looks like in this language, and a way to see it at work that needs none of one's own. */
function ExampleOf({ of }: { of: UserFunction }) {
  const { send, sending, error } = useDeploy(of, true);
  const example = exampleOf(of);
  if (!example) return null;
  const { entrypoint, code, pack } = example;
  return (
    <Section
      title="An example"
      about={
        <>
          The folder holds an <code>{entrypoint}</code> such as this one.
        </>
      }
      actions={
        <Button icon="play" isBusy={sending !== undefined} onClick={() => void pack().then(send)}>
          Deploy this
        </Button>
      }
    >
      <Snippet text={code} label={entrypoint} />
      <Refused error={error} />
    </Section>
  );
}

/** What was deployed last and does not answer. */
function Underway({ deployment }: { deployment: Deployment }) {
  const show = useShow();
  const id = useId();
  return (
    <div role="status" className={style.underway}>
      <DeploymentState of={deployment} />
      <span id={id}>
        Deployment <code>{digitsOf(deployment)}</code>, sent <Ago at={deployment.createdAt} />
      </span>
      <Button aria-describedby={id} onClick={() => show(deployment)}>
        {isBuilding(deployment) ? "Watch its build" : "Open"}
      </Button>
    </div>
  );
}

interface ActiveProps {
  of: UserFunction;
  active: Deployment | undefined;
  newest: Deployment | undefined;
  earlier: Deployment | undefined;
}

function Active({ of, active, newest, earlier }: ActiveProps) {
  const turn = useActivate(of);
  const show = useShow();
  const { instances, limits, schedule, network } = of;
  return (
    <Section
      title="Active deployment"
      actions={
        <>
          {earlier && (
            <Button icon="restore" isBusy={turn.isPending} onClick={() => turn.to(earlier, active)}>
              Roll back
            </Button>
          )}
          {active && (
            <Button aria-label={`Open deployment ${digitsOf(active)}`} onClick={() => show(active)}>
              Open
            </Button>
          )}
        </>
      }
    >
      <Card>
        {newest && newest !== active && newest.status !== "ready" && newest.status !== "cancelled" && (
          <Underway deployment={newest} />
        )}
        <Facts
          facts={[
            ["Deployment", active && <code key="deployment">{digitsOf(active)}</code>],
            ["Sent", active && <Ago key="sent" at={active.createdAt} />],
            ["Size", active && treeOf(active)],
            [
              "Running now",
              of.runtime !== FILES && `${count(instances)} of at most ${count(limits.maxInstances)} instances`,
            ],
            ["Runs by itself", schedule && (wordsOf(schedule) ?? <code key="schedule">{schedule}</code>)],
            ["Network", of.runtime !== FILES && (network === "internet" ? "reaches the internet" : "reaches nothing")],
          ]}
        />
        {earlier && (
          <p className={style.soft}>
            Rolling back goes to <code>{digitsOf(earlier)}</code>, sent <Ago at={earlier.createdAt} />, at once: it is
            built already.
          </p>
        )}
      </Card>
    </Section>
  );
}

/** Leads to a deployment, where its tab is. */
function useShow() {
  const [, setSearch] = useSearchParams();
  return ({ id }: Deployment) => setSearch({ tab: "deployments", deployment: id });
}
