/** How a program of one's own brings its actions here: a key, a few lines, and who is connected. */

import { useQuery } from "@tanstack/react-query";
import { actions } from "../api/actions.ts";
import type { Action } from "../api/types.ts";
import * as queries from "../api/queries.ts";
import { ActionLink } from "./action_list.tsx";
import { Button } from "./button.tsx";
import style from "./connect_app.module.css";
import { Copyable } from "./copy.tsx";
import { Empty } from "./empty.tsx";
import { Card, Section } from "./page.tsx";
import { Snippet } from "./snippet.tsx";
import { Sign } from "./status.tsx";
import { type Column, Table } from "./table.tsx";
import { useToast } from "./toast.tsx";

export function ConnectApp() {
  const toast = useToast();
  const make = queries.useChange(queries.makeAccountKey, [queries.accountKeys.queryKey]);
  return (
    <Section
      id="connect"
      title="Connect an app"
      about="A program of yours brings its actions here with the npm package @interval/sdk, as it is. It dials out: nothing of yours has to be reachable."
    >
      <Card>
        <ol className={style.steps}>
          <li>
            <p>Install the package.</p>
            <Copyable text="npm i @interval/sdk" label="Copy the line to install it" />
          </li>
          <li>
            <div className={style.key}>
              <p role="status">
                {make.data
                  ? "The key stands in the code below. Copy it now: it is not shown again."
                  : "Make a key, and it stands in the code below."}
              </p>
              {!make.data && (
                <Button
                  isBusy={make.isPending}
                  onClick={() => make.mutate({ type: "api", name: "connected app" }, { onError: toast.failed })}
                >
                  Make a key
                </Button>
              )}
            </div>
            <Snippet label="the code that connects" text={code(make.data?.key ?? "YOUR_API_KEY")} />
          </li>
        </ol>
      </Card>
      <Card isFlush>
        <Connected />
      </Card>
    </Section>
  );
}

const code = (key: string) => `import { Interval, io } from "@interval/sdk";

new Interval({
  apiKey: "${key}",
  endpoint: "${location.origin.replace(/^http/, "ws")}/websocket",
  routes: {
    greet: async () => {
      const name = await io.input.text("Name");
      return { greeted: name };
    },
  },
}).listen();`;

const COLUMNS: Column<Action>[] = [
  { name: "Action", width: "minmax(7rem, 1fr)", cell: (action) => <ActionLink action={action} /> },
  { name: "Slug", width: "minmax(6rem, 0.8fr)", cell: ({ slug }) => <code>{slug}</code>, isWide: true },
  { name: "State", width: "5.5rem", cell: ({ online }) => <State isOnline={online} /> },
];

function Connected() {
  const { data: known } = useQuery(actions);
  const connected = known?.filter(({ source }) => source === "host");
  if (connected?.length === 0) {
    return <Empty title="No program is connected yet">Start yours, and what it offers is listed here.</Empty>;
  }
  return (
    <Table
      label="Connected actions"
      columns={COLUMNS}
      count={connected?.length ?? 1}
      row={(index) => connected?.[index]}
    />
  );
}

function State({ isOnline }: { isOnline: boolean }) {
  return isOnline ? (
    <Sign icon="check" tone="ok" why="Its program is connected.">
      online
    </Sign>
  ) : (
    <Sign icon="away" tone="warn" why="Its program is not connected.">
      offline
    </Sign>
  );
}
