/** A hook: its code on the left, what happens to it on the right. */

import { useQuery } from "@tanstack/react-query";
import { Problem } from "../../api/http.ts";
import { useLive } from "../../api/live.ts";
import * as queries from "../../api/queries.ts";
import type { Hook } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Copyable } from "../../components/copy.tsx";
import { Icon } from "../../components/icon.tsx";
import { Tabs, useTab } from "../../components/tabs.tsx";
import { count } from "../../components/time.tsx";
import { useToast } from "../../components/toast.tsx";
import { useTitle } from "../../title.ts";
import { NotFoundPage } from "../not_found.tsx";
import { Code } from "./code.tsx";
import { Console } from "./console.tsx";
import style from "./hook.module.css";
import { Keys } from "./keys.tsx";
import { Requests } from "./requests.tsx";
import { Secrets } from "./secrets.tsx";
import { HookSettings } from "./settings.tsx";
import { State } from "./state.tsx";
import { useMoment } from "./time.tsx";
import { Versions } from "./versions.tsx";
import { Welcome } from "./welcome.tsx";

const TABS = ["Requests", "State", "Versions", "Console", "Keys", "Secrets", "Settings"] as const;
type Tab = (typeof TABS)[number];

/** Beside these the code is worth its room. */
const BESIDE_CODE: readonly Tab[] = ["Requests", "State", "Console"];

export function HookPage({ id }: { id: string }) {
  const { data: hook, error } = useQuery(queries.hook(id));
  if (error instanceof Problem && error.status < 500) return <NotFoundPage />;
  return hook ? <Whole hook={hook} /> : <div className={style.page} aria-busy />;
}

function Whole({ hook }: { hook: Hook }) {
  useTitle(hook.name);
  useLive(hook.id);
  const [tab, setTab] = useTab(TABS);
  const moment = useMoment(hook);
  return (
    <div className={style.page}>
      <Head hook={hook} />
      <Welcome hook={hook} />
      <Tabs
        label="Of this hook"
        shown={tab}
        onShow={setTab}
        beside={
          <div className={style.code} hidden={!BESIDE_CODE.includes(tab)}>
            <Code hook={hook} />
          </div>
        }
        tabs={[
          { name: "Requests", panel: <Requests hook={hook} moment={moment} /> },
          { name: "State", panel: <State hook={hook} moment={moment} /> },
          { name: "Versions", panel: <Versions hook={hook} /> },
          { name: "Console", panel: <Console hook={hook} /> },
          { name: "Keys", panel: <Keys hook={hook} /> },
          { name: "Secrets", panel: <Secrets hook={hook} /> },
          { name: "Settings", panel: <HookSettings hook={hook} /> },
        ]}
      />
    </div>
  );
}

function Head({ hook }: { hook: Hook }) {
  const toast = useToast();
  const isPaused = hook.workflowState === "paused";
  const pause = queries.useChange(
    (paused: boolean) => queries.changeHook(hook.id, { workflowState: paused ? "paused" : "live" }),
    [queries.hook(hook.id).queryKey],
  );
  const turn = (paused: boolean) =>
    pause.mutate(paused, {
      onError: toast.failed,
      onSuccess: () =>
        toast.done(
          paused ? "Paused: requests are kept, and folded when it plays again." : "Live: what waited is folded.",
          () => pause.mutate(!paused),
        ),
    });
  return (
    <header className={style.head}>
      <div className={style.name}>
        <h1>{hook.name}</h1>
        <span className={isPaused ? style.paused : style.live}>
          <Icon name={isPaused ? "pause" : "check"} />
          {isPaused ? "paused" : "live"}
        </span>
        <span className={style.count}>
          {count(hook.requestCount)} request{hook.requestCount === 1 ? "" : "s"}
        </span>
      </div>
      {hook.writeKeys[0] && (
        <div className={style.address}>
          <Copyable text={`${location.origin}/write/${hook.writeKeys[0]}`} label="Copy the address to write to" />
        </div>
      )}
      <Button icon={isPaused ? "play" : "pause"} onClick={() => turn(!isPaused)} isBusy={pause.isPending}>
        {isPaused ? "Play" : "Pause"}
      </Button>
    </header>
  );
}
