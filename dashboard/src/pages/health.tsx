/** How the server is: one sentence, then what it is made of. */

import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Away, Problem } from "../api/http.ts";
import * as queries from "../api/queries.ts";
import type { Health } from "../api/types.ts";
import { Button } from "../components/button.tsx";
import { Empty } from "../components/empty.tsx";
import { Icon } from "../components/icon.tsx";
import { Meter } from "../components/meter.tsx";
import { Card, Page, Section } from "../components/page.tsx";
import { useSignIn } from "../components/sign_in.tsx";
import { Sign } from "../components/status.tsx";
import { count, wholeOf } from "../components/time.tsx";
import { bytes, duration, milliseconds } from "../components/units.ts";
import { useTitle } from "../title.ts";
import style from "./health.module.css";

/** Less room than this on the disk is worth saying. */
const FREE_BYTES_MIN = 2 * 1024 ** 3;
/** Of a bound, so much may be taken before it is worth saying. */
const HELD_SHARE_MAX = 0.9;

export function HealthPage() {
  useTitle("Health");
  const { data: health, error, failureReason } = useQuery(queries.health);
  if (error instanceof Problem) return <Refused problem={error} />;
  const troubles = [
    ...(failureReason instanceof Away ? ["The server does not answer; these are its last words."] : []),
    ...(health ? troublesOf(health) : []),
  ];
  return (
    <Page title="Health" isUnseenTitle>
      <Verdict troubles={troubles} health={health} />
      {health && <Figures health={health} />}
    </Page>
  );
}

/** What a person should look at, the worst first. */
function troublesOf({ walls, children, store, limits }: Health): string[] {
  const fallen = walls.filter(({ holds }) => !holds);
  const { freeBytes } = store;
  const tight = limits.filter(({ held, max }) => held > max * HELD_SHARE_MAX);
  return [
    ...(children.alive === 0 ? ["Nothing runs user code: no process for it is alive."] : []),
    ...(fallen.length === 1 ? [`A wall around user code does not hold: ${fallen[0]?.name}.`] : []),
    ...(fallen.length > 1 ? [`${fallen.length} walls around user code do not hold.`] : []),
    ...(freeBytes !== null && freeBytes < FREE_BYTES_MIN ? [`The disk is nearly full: ${bytes(freeBytes)} left.`] : []),
    ...tight.map(({ name, held, max }) => `${limitOf(name).name}: ${count(held)} of ${count(max)} are taken.`),
  ];
}

function Verdict({ troubles, health }: { troubles: string[]; health: Health | undefined }) {
  const [first, ...others] = troubles;
  const isWell = first === undefined;
  return (
    <div role="status" className={`${style.verdict} ${isWell ? style.well : style.ill}`} aria-busy={!health}>
      <span className={style.mark}>
        <Icon name={isWell ? "check" : "warning"} />
      </span>
      <div>
        <p className={style.sentence}>{first ?? (health ? "All is well" : "Asking the server…")}</p>
        {others.map((trouble) => (
          <p key={trouble}>{trouble}</p>
        ))}
        {health && (
          <p className={style.soft} aria-live="off">
            Everfold {health.version}, up for {duration(health.now - health.startedAt)}
          </p>
        )}
      </div>
    </div>
  );
}

function Figures({ health }: { health: Health }) {
  const { writes, latencies, folds, awake, memory, store, children, startedAt } = health;
  return (
    <div className={style.figures}>
      <Group title="Requests in">
        <Fact name="Now">{perSecond(writes.perSecond)}</Fact>
        <Fact name="Kept since the start">{count(writes.accepted)}</Fact>
        <Fact name="Refused">{count(writes.refused)}</Fact>
        {latencies.map(({ name, p50Ms, p99Ms }) => (
          <Fact key={name} name={`Half of the ${name}s within`} about={`99 of 100 within ${milliseconds(p99Ms)}`}>
            {milliseconds(p50Ms)}
          </Fact>
        ))}
      </Group>
      <Group title="Folding">
        <Fact name="Requests waiting">{count(folds.waiting)}</Fact>
        <Fact name="Hooks in memory">{count(awake)}</Fact>
        <Fact
          name="Processes for user code"
          about={`${count(children.started)} started so far, each within ${milliseconds(children.startMs)}`}
        >
          {count(children.alive)}
        </Fact>
        <Fact name="Replays under way">{count(folds.replays.length)}</Fact>
      </Group>
      <Group title="Machine">
        <Fact name="Memory">{memory.residentBytes === null ? "unknown" : bytes(memory.residentBytes)}</Fact>
        {health.nodes.length === 0 && <Fact name="Stored">{bytes(store.bytes)}</Fact>}
        <Fact name="Room left on the disk">{store.freeBytes === null ? "unknown" : bytes(store.freeBytes)}</Fact>
        <Fact name="Started">{wholeOf(startedAt)}</Fact>
      </Group>
      <Replays health={health} />
      <Nodes health={health} />
      <Walls health={health} />
      <Limits health={health} />
      <Refusals health={health} />
    </div>
  );
}

function Group({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Section title={title}>
      <Card>
        <dl className={style.facts}>{children}</dl>
      </Card>
    </Section>
  );
}

function Fact({ name, about, children }: { name: string; about?: string; children: ReactNode }) {
  return (
    <div>
      <dt>
        {name}
        {about && <small>{about}</small>}
      </dt>
      <dd>{children}</dd>
    </div>
  );
}

/** Publishing folds everything again, which may take a while. */
function Replays({ health }: { health: Health }) {
  const { replays } = health.folds;
  if (replays.length === 0) return null;
  return (
    <div className={style.whole}>
      <Section title="Replays under way" about="A hook was published: everything that ever came is folded again.">
        <Card>
          {replays.map(({ done, total, perSecond: rate, etaSeconds }, index) => (
            <Meter
              key={index}
              label={`Replay ${index + 1}`}
              held={done}
              max={total}
              words={`${count(done)} of ${count(total)}, ${perSecond(rate)}${
                etaSeconds === null ? "" : `, ${duration(etaSeconds * 1000)} to go`
              }`}
            />
          ))}
        </Card>
      </Section>
    </div>
  );
}

/** Each has its share of the hooks; the head, all else. Any of them may be asked. */
function Nodes({ health: { nodes } }: { health: Health }) {
  if (nodes.length === 0) return null;
  return (
    <div className={style.whole}>
      <Section
        title="Servers"
        about="They share a database and its hooks; the head has all else, and the numbers on this page are its own. Any of them may be asked, and when one ends the others go on."
      >
        <Card isFlush>
          <ul className={style.walls}>
            {nodes.map(({ id, address, version, since, leaseMs, shards, isHead }) => (
              <li key={id}>
                <div>
                  <p className={style.wall}>{address}</p>
                  <p className={style.soft}>
                    Everfold {version}, since {wholeOf(since)}
                  </p>
                </div>
                <Sign icon={leaseMs > 0 ? "check" : "warning"} tone={leaseMs > 0 ? "ok" : "bad"}>
                  {leaseMs === 0 ? "gone" : `${isHead ? "head, " : ""}${count(shards)} of 4,096 shards`}
                </Sign>
              </li>
            ))}
          </ul>
        </Card>
      </Section>
    </div>
  );
}

/** Said of each wall by what user code cannot do. */
const WALLS: Record<string, string> = {
  "mount namespace": "Has a file system of its own.",
  "process namespace": "Sees no other process.",
  "network namespace": "Reaches no network.",
  "message namespace": "Shares no memory or queue with anybody.",
  "host name namespace": "Does not know the machine’s name.",
  "cgroup namespace": "Does not see how the machine is divided.",
  "empty root": "Finds no file, not one.",
  user: "Is nobody.",
  capabilities: "Has no right beyond those of nobody.",
  "no new privileges": "Can gain no right.",
  "ends with its parent": "Does not outlive the server.",
  "not traceable": "Cannot be looked into from beside.",
  resources: "Has a bound for memory, files and processes.",
  landlock: "Opens nothing, even if it found it.",
  "system calls": "May make only the few calls it needs.",
};

function Walls({ health: { walls } }: { health: Health }) {
  return (
    <div className={style.whole}>
      <Section title="Walls" about="What stands between the code that people write here and the machine it runs on.">
        <Card isFlush>
          <ul className={style.walls}>
            {walls.map(({ name, holds, detail }) => (
              <li key={name}>
                <div>
                  <p className={style.wall}>{name}</p>
                  <p className={style.soft}>{(holds ? WALLS[name] : undefined) ?? detail}</p>
                </div>
                <Sign icon={holds ? "check" : "warning"} tone={holds ? "ok" : "bad"}>
                  {holds ? "holds" : "does not hold"}
                </Sign>
              </li>
            ))}
          </ul>
        </Card>
      </Section>
    </div>
  );
}

const LIMITS: Record<string, { name: string; words?: (many: number) => string }> = {
  connections: { name: "Connections" },
  writes: { name: "Writes at once" },
  writeBytes: { name: "Bytes being written", words: bytes },
  previews: { name: "Previews at once" },
  imports: { name: "Imports at once" },
};

const limitOf = (name: string) => LIMITS[name] ?? { name };

function Limits({ health: { limits } }: { health: Health }) {
  return (
    <Section title="Bounds" about="How much of each is taken now. Beyond it, callers are asked to come again.">
      <Card>
        {limits.map(({ name, held, max }) => {
          const { name: label, words = count } = limitOf(name);
          const isTight = held > max * HELD_SHARE_MAX;
          return (
            <Meter
              key={name}
              label={label}
              held={held}
              max={max}
              words={`${words(held)} of ${words(max)}`}
              isTight={isTight}
            />
          );
        })}
      </Card>
    </Section>
  );
}

function Refusals({ health: { refusals } }: { health: Health }) {
  const most = Object.entries(refusals).sort(([, one], [, other]) => other - one);
  return (
    <Section title="Refusals" about="What callers were told most, since the start.">
      <Card>
        {most.length === 0 ? (
          <p className={style.soft}>Nobody was refused.</p>
        ) : (
          <dl className={style.facts}>
            {most.slice(0, 8).map(([code, many]) => (
              <Fact key={code} name={code}>
                {count(many)}
              </Fact>
            ))}
          </dl>
        )}
      </Card>
    </Section>
  );
}

/** Not everybody may know. */
function Refused({ problem }: { problem: Problem }) {
  const { data: me } = useQuery(queries.me);
  const signIn = useSignIn();
  return (
    <Page title="Health">
      <Card>
        <Empty title={problem.message}>
          {problem.hint && <p>{problem.hint}</p>}
          {problem.status === 403 && me?.workflowState === "guest" && <Button onClick={signIn}>Sign in</Button>}
        </Empty>
      </Card>
    </Page>
  );
}

function perSecond(rate: number): string {
  return `${rate >= 10 || rate === 0 ? count(Math.round(rate)) : rate.toFixed(1)} per second`;
}
