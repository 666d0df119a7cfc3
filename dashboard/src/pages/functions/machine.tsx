/** What this machine can run, and what stands between that code and the machine. */

import { useQuery } from "@tanstack/react-query";
import { machine } from "../../api/functions.ts";
import type { Machine, Runtime } from "../../api/types.ts";
import { Icon } from "../../components/icon.tsx";
import { Card, Section } from "../../components/page.tsx";
import { Sign } from "../../components/status.tsx";
import { type Column, Table } from "../../components/table.tsx";
import style from "./machine.module.css";

const SKELETON_ROWS = 4;

type Layer = Machine["sandbox"]["layers"][number];

export function MachineSections() {
  const { data } = useQuery(machine);
  return (
    <>
      <Section title="What this machine can run">
        <Runtimes runtimes={data?.objects} />
      </Section>
      <Section title="Sandbox" about="Each instance runs behind all of these; what one keeps out, the others need not.">
        {data && <Stands sandbox={data.sandbox} />}
        <Layers layers={data?.sandbox.layers} />
      </Section>
    </>
  );
}

function Runtimes({ runtimes }: { runtimes: Runtime[] | undefined }) {
  const columns: Column<Runtime>[] = [
    {
      name: "Runtime",
      width: "minmax(5.5rem, 0.5fr)",
      cell: ({ title }) => <span className={style.name}>{title}</span>,
    },
    { name: "Version", width: "6rem", cell: (runtime) => <Version of={runtime} /> },
    {
      name: "Entrypoint",
      width: "minmax(6rem, 0.5fr)",
      cell: ({ entrypoint }) => <code>{entrypoint}</code>,
      isWide: true,
    },
    {
      name: "Build, or what to install",
      width: "minmax(6rem, 1.4fr)",
      cell: (runtime) => <Needs of={runtime} />,
      isWide: true,
    },
  ];
  const missing = runtimes?.filter(({ available }) => !available) ?? [];
  return (
    <>
      <Card isFlush>
        <Table
          label="What this machine can run"
          columns={columns}
          count={runtimes?.length ?? SKELETON_ROWS}
          row={(index) => runtimes?.[index]}
        />
      </Card>
      <Missing label="What to install" all={missing.map(({ reason }) => reason ?? "")} />
    </>
  );
}

/** Said below a table that has no room for it. */
function Missing({ label, all }: { label: string; all: string[] }) {
  if (all.length === 0) return null;
  return (
    <ul className={style.missing} aria-label={label}>
      {all.map((words) => (
        <li key={words}>{words}</li>
      ))}
    </ul>
  );
}

function Version({ of: { available, version, reason } }: { of: Runtime }) {
  return (
    <Sign icon={available ? "check" : "minus"} tone={available ? "ok" : "plain"} why={reason ?? undefined}>
      {available ? (version ?? "here") : "missing"}
    </Sign>
  );
}

function Needs({ of: { available, reason, build } }: { of: Runtime }) {
  if (!available) return <span title={reason ?? undefined}>{reason}</span>;
  return build ? <code title={build}>{build}</code> : <span className={style.soft}>nothing to build</span>;
}

/** Whether functions are run at all. */
function Stands({ sandbox: { available, reason } }: { sandbox: Machine["sandbox"] }) {
  return (
    <p className={`${style.stands} ${available ? style.well : style.ill}`}>
      <Icon name={available ? "check" : "warning"} />
      <span>
        <b>{available ? "The sandbox stands." : "The sandbox does not stand, so no function is run."}</b> {reason}
      </span>
    </p>
  );
}

function Layers({ layers }: { layers: Layer[] | undefined }) {
  const columns: Column<Layer>[] = [
    { name: "Layer", width: "minmax(7rem, 0.5fr)", cell: ({ name }) => <span className={style.name}>{name}</span> },
    {
      name: "State",
      width: "5.5rem",
      cell: ({ present, detail }) => (
        <Sign icon={present ? "check" : "warning"} tone={present ? "ok" : "warn"} why={detail}>
          {present ? "present" : "missing"}
        </Sign>
      ),
    },
    { name: "What it is", width: "minmax(6rem, 1.6fr)", cell: ({ detail }) => <Detail>{detail}</Detail>, isWide: true },
  ];
  const missing = layers?.filter(({ present }) => !present) ?? [];
  return (
    <>
      <Card isFlush>
        <Table
          label="Sandbox"
          columns={columns}
          count={layers?.length ?? SKELETON_ROWS}
          row={(index) => layers?.[index]}
        />
      </Card>
      <Missing label="What is missing" all={missing.map(({ name, detail }) => `${name}: ${detail}`)} />
    </>
  );
}

const Detail = ({ children }: { children: string }) => (
  <span className={style.soft} title={children}>
    {children}
  </span>
);
