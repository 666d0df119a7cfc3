/** What stands around every page: the way home, the command bar, who is looking, and whether the server is there. */

import { useIsFetching, useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { Away } from "./api/http.ts";
import { useReconnecting } from "./api/live.ts";
import * as queries from "./api/queries.ts";
import { AccountMenu } from "./components/account_menu.tsx";
import { CommandBar } from "./components/command_bar.tsx";
import { Icon } from "./components/icon.tsx";
import style from "./shell.module.css";
import mark from "./style/everfold.svg";

export function Shell({ children }: { children: ReactNode }) {
  const [isCommanding, setCommanding] = useState(false);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setCommanding((open) => !open);
      }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <>
      <a className={style.skip} href="#content">
        Skip to content
      </a>
      <header className={style.bar}>
        <Link href="/" className={style.mark} aria-label="Everfold, home">
          <img src={mark} alt="" width="20" height="20" />
          <span className={style.name}>Everfold</span>
        </Link>
        <nav aria-label="Main" className={style.places}>
          <Place href="/hooks">Hooks</Place>
          <Place href="/health">Health</Place>
          <a href="/docs">Docs</a>
        </nav>
        <Line />
        <button
          type="button"
          className={style.command}
          onClick={() => setCommanding(true)}
          aria-keyshortcuts="Control+K Meta+K"
        >
          <Icon name="search" />
          <span>Find or run…</span>
          <kbd>{isMac() ? "⌘K" : "Ctrl K"}</kbd>
        </button>
        <AccountMenu />
      </header>
      <main id="content" className={style.content} tabIndex={-1}>
        {children}
      </main>
      <CommandBar isOpen={isCommanding} onClose={() => setCommanding(false)} />
    </>
  );
}

function Place({ href, children }: { href: string; children: ReactNode }) {
  const [location] = useLocation();
  return (
    <Link href={href} aria-current={location === href || location.startsWith(`${href}/`) ? "page" : undefined}>
      {children}
    </Link>
  );
}

/** While the server is away the page goes on with what it has, and says so. */
function Line() {
  const isReconnecting = useReconnecting();
  const me = useQuery(queries.me);
  useIsFetching();
  const isAway = isReconnecting || me.failureReason instanceof Away;
  return (
    <span role="status" className={style.away}>
      {isAway && (
        <span className={style.awayWords}>
          <Icon name="away" /> reconnecting
        </span>
      )}
    </span>
  );
}

export function isMac(): boolean {
  return /mac|iphone|ipad/i.test(navigator.platform);
}
