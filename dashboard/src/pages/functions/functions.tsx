/** All functions, and what this machine can run. */

import { useQuery } from "@tanstack/react-query";
import { Link, useLocation, useSearchParams } from "wouter";
import { deployments, functionsLive, lastExecution, machine } from "../../api/functions.ts";
import type { UserFunction } from "../../api/types.ts";
import { useCommands } from "../../commands.ts";
import { Button } from "../../components/button.tsx";
import { Empty } from "../../components/empty.tsx";
import { Card, Page } from "../../components/page.tsx";
import { GuestNote } from "../../components/sign_in.tsx";
import { Sign } from "../../components/status.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Ago, count } from "../../components/time.tsx";
import { useTitle } from "../../title.ts";
import { DeploymentState, digitsOf } from "../function/deployment_status.tsx";
import style from "./functions.module.css";
import { MachineSections } from "./machine.tsx";
import { NewFunction } from "./new_function.tsx";

const SKELETON_ROWS = 2;
/** What each row shows of its function is looked at less often than the list. */
const ROW_MS = 10_000;

const COLUMNS: Column<UserFunction>[] = [
  { name: "Name", width: "minmax(7rem, 1fr)", cell: (of) => <Name of={of} /> },
  {
    name: "Runtime",
    width: "5.5rem",
    cell: ({ runtime }) => <RuntimeOf name={runtime} />,
    isWide: true,
  },
  { name: "Deployment", width: "minmax(7rem, 0.7fr)", cell: (of) => <Active of={of} /> },
  { name: "Running", width: "6rem", cell: ({ instances }) => <Instances many={instances} />, isWide: true },
  { name: "Last called", width: "6.5rem", cell: (of) => <LastCalled of={of} /> },
];

export default function FunctionsPage() {
  useTitle("Functions");
  const { data: known } = useQuery(functionsLive);
  const [isMaking, setMaking] = useMaking();
  const [, go] = useLocation();
  useCommands([{ name: "New function", run: () => setMaking(true) }]);
  const make = (
    <Button kind="main" icon="plus" onClick={() => setMaking(true)}>
      New function
    </Button>
  );
  return (
    <Page
      title="Functions"
      about="A folder of code in any language, built once, that answers requests at an address of its own."
      actions={known?.length !== 0 && make}
    >
      <Card isFlush>
        {known?.length === 0 ? (
          <Empty title="No functions yet">
            <p>
              Make one and upload its code as a .tar.gz or a .zip, or run <code>everfold deploy DIR --publish</code> in
              a terminal.
            </p>
            {make}
          </Empty>
        ) : (
          <div className={style.list}>
            <Table
              label="Functions"
              columns={COLUMNS}
              count={known?.length ?? SKELETON_ROWS}
              row={(index) => known?.[index]}
              onOpen={({ id }) => go(`/functions/${id}`)}
              rowHeight={40}
            />
          </div>
        )}
      </Card>
      <GuestNote what="functions" />
      <MachineSections />
      <NewFunction isOpen={isMaking} onClose={() => setMaking(false)} />
    </Page>
  );
}

/** Part of the address, so that the command bar leads there. */
function useMaking(): [boolean, (isMaking: boolean) => void] {
  const [search, setSearch] = useSearchParams();
  return [search.has("new"), (isMaking) => setSearch(isMaking ? { new: "" } : {}, { replace: true })];
}

/** A link too, so that it can be opened in a tab of its own; the row is what Tab stops at. */
function Name({ of: { id, name, slug } }: { of: UserFunction }) {
  return (
    <span className={style.name}>
      <Link href={`/functions/${id}`} tabIndex={-1} onClick={(event) => event.stopPropagation()}>
        {name}
      </Link>
      <span className={style.aside}>/f/{slug}</span>
    </span>
  );
}

function RuntimeOf({ name }: { name: string }) {
  const { data } = useQuery(machine);
  return <span className={style.soft}>{data?.objects.find((one) => one.name === name)?.title ?? name}</span>;
}

/** What answers; where nothing does, how that stands which shall. */
function Active({ of: { id } }: { of: UserFunction }) {
  const { data } = useQuery({ ...deployments(id), refetchInterval: ROW_MS });
  const shown = data?.find(({ isActive }) => isActive) ?? data?.[0];
  if (!data) return <Unknown />;
  if (!shown) return <span className={style.soft}>none yet</span>;
  return (
    <span className={style.deployment}>
      <DeploymentState of={shown} />
      <code className={style.hash}>{digitsOf(shown)}</code>
    </span>
  );
}

function Instances({ many }: { many: number }) {
  if (many === 0) return <span className={style.soft}>none</span>;
  return (
    <Sign icon="play" tone="ok" why="So many instances are there for requests.">
      {count(many)}
    </Sign>
  );
}

function LastCalled({ of: { id } }: { of: UserFunction }) {
  const { data } = useQuery({ ...lastExecution(id), refetchInterval: ROW_MS });
  if (data === undefined) return <Unknown />;
  return data === null ? <span className={style.soft}>never</span> : <Ago at={data.createdAt} />;
}

const Unknown = () => <span className={style.soft}>–</span>;
