/** A hook: its code on the left, what happens to it on the right. */

import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "wouter";
import { Problem } from "../../api/http.ts";
import { useLive } from "../../api/live.ts";
import * as queries from "../../api/queries.ts";
import type { Hook } from "../../api/types.ts";
import { Tabs } from "../../components/tabs.tsx";
import { useTitle } from "../../title.ts";
import { NotFoundPage } from "../not_found.tsx";
import { Console } from "./console.tsx";
import style from "./hook.module.css";
import { Keys } from "./keys.tsx";
import { Secrets } from "./secrets.tsx";
import { HookSettings } from "./settings.tsx";
import { Versions } from "./versions.tsx";

const TABS = ["Requests", "State", "Versions", "Console", "Keys", "Secrets", "Settings"] as const;
type Tab = (typeof TABS)[number];

export function HookPage({ id }: { id: string }) {
  const { data: hook, error } = useQuery(queries.hook(id));
  if (error instanceof Problem) return <NotFoundPage />;
  return hook ? <Whole hook={hook} /> : <div className={style.page} aria-busy />;
}

function Whole({ hook }: { hook: Hook }) {
  useTitle(hook.name);
  useLive(hook.id);
  const [tab, setTab] = useTab();
  return (
    <div className={style.page}>
      <section className={style.right}>
        <Tabs
          label="Of this hook"
          shown={tab}
          onShow={setTab}
          tabs={[
            { name: "Requests", panel: null },
            { name: "State", panel: null },
            { name: "Versions", panel: <Versions hook={hook} /> },
            { name: "Console", panel: <Console hook={hook} /> },
            { name: "Keys", panel: <Keys hook={hook} /> },
            { name: "Secrets", panel: <Secrets hook={hook} /> },
            { name: "Settings", panel: <HookSettings hook={hook} /> },
          ]}
        />
      </section>
    </div>
  );
}

/** The tab is part of the address, so that it can be sent to somebody. */
function useTab(): [Tab, (tab: Tab) => void] {
  const [search, setSearch] = useSearchParams();
  const named = search.get("tab");
  const tab = TABS.find((tab) => tab.toLowerCase() === named) ?? "Requests";
  const setTab = (tab: Tab) =>
    setSearch(
      (search) => {
        const next = new URLSearchParams(search);
        if (tab === "Requests") next.delete("tab");
        else next.set("tab", tab.toLowerCase());
        return next;
      },
      { replace: true },
    );
  return [tab, setTab];
}
