/** A function: where it is called, what answers there, and everything that was asked of it. */

import { useQuery } from "@tanstack/react-query";
import { machine, userFunction } from "../../api/functions.ts";
import { Problem } from "../../api/http.ts";
import type { UserFunction } from "../../api/types.ts";
import { useCommands } from "../../commands.ts";
import { Copyable } from "../../components/copy.tsx";
import { Icon } from "../../components/icon.tsx";
import { Tabs, useTab } from "../../components/tabs.tsx";
import { useTitle } from "../../title.ts";
import { NotFoundPage } from "../not_found.tsx";
import { Deployments } from "./deployments.tsx";
import { Executions } from "./executions.tsx";
import style from "./function.module.css";
import { Overview } from "./overview.tsx";
import { FunctionSettings } from "./settings.tsx";
import { Variables } from "./variables.tsx";

const TABS = ["Overview", "Deployments", "Executions", "Variables", "Settings"] as const;

export default function FunctionPage({ id }: { id: string }) {
  const { data, error } = useQuery(userFunction(id));
  if (error instanceof Problem && error.status < 500) return <NotFoundPage />;
  return data ? <Whole of={data} /> : <div className={style.page} aria-busy />;
}

function Whole({ of }: { of: UserFunction }) {
  useTitle(of.name);
  const [tab, setTab] = useTab(TABS);
  useCommands(TABS.map((name) => ({ name, run: () => setTab(name) })));
  return (
    <div className={style.page}>
      <Head of={of} />
      <Tabs
        label="Of this function"
        shown={tab}
        onShow={setTab}
        tabs={[
          { name: "Overview", panel: <Overview of={of} /> },
          { name: "Deployments", panel: <Deployments of={of} /> },
          { name: "Executions", panel: <Executions of={of} /> },
          { name: "Variables", panel: <Variables of={of} /> },
          { name: "Settings", panel: <FunctionSettings of={of} /> },
        ]}
      />
    </div>
  );
}

function Head({ of }: { of: UserFunction }) {
  const { data } = useQuery(machine);
  const runtime = data?.objects.find(({ name }) => name === of.runtime);
  const isLive = of.activeDeployment !== null;
  return (
    <header className={style.head}>
      <div className={style.name}>
        <h1>{of.name}</h1>
        <span className={isLive ? style.live : style.waiting}>
          <Icon name={isLive ? "check" : "clock"} />
          {isLive ? "live" : "not deployed"}
        </span>
        <span className={style.runtime}>
          {[runtime?.title ?? of.runtime, runtime?.version].filter(Boolean).join(" ")}
        </span>
      </div>
      <div className={style.address}>
        <Copyable text={of.url} label="Copy the function’s address" />
      </div>
    </header>
  );
}
