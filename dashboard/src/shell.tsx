/** What stands around every page: the way home, the command bar, who is looking, and whether the server is there. */

import { notifyManager, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { Link, useLocation, useRoute } from "wouter";
import { Away, Problem } from "./api/http.ts";
import { useReconnecting } from "./api/line.ts";
import * as queries from "./api/queries.ts";
import { AccountMenu } from "./components/account_menu.tsx";
import { CommandBar } from "./components/command_bar.tsx";
import { Icon } from "./components/icon.tsx";
import { Card, Page } from "./components/page.tsx";
import { SignInDialog, SignInForm } from "./components/sign_in.tsx";
import { withModifier } from "./keys.ts";
import { remember } from "./recent.ts";
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
  useRecent();
  useOneCaller();
  return (
    <SignInDialog>
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
          <Place href="/functions">Functions</Place>
          <Place href="/jobs">Jobs</Place>
          <Place href="/history" isAside>
            History
          </Place>
          <Place href="/health" isAside>
            Health
          </Place>
          <a href="/docs" className={style.aside}>
            Docs
          </a>
        </nav>
        <Line />
        <button
          type="button"
          className={style.command}
          onClick={() => setCommanding(true)}
          aria-label="Find or run…"
          aria-keyshortcuts="Control+K Meta+K"
        >
          <Icon name="search" />
          <span>Find or run…</span>
          <kbd>{withModifier("K")}</kbd>
        </button>
        <AccountMenu />
      </header>
      <main id="content" className={style.content} tabIndex={-1}>
        <Open>{children}</Open>
      </main>
      <CommandBar isOpen={isCommanding} onClose={() => setCommanding(false)} />
    </SignInDialog>
  );
}

/** Whether something that is shown was asked for in vain. */
function useUnanswered(): boolean {
  const asked = useQueryClient().getQueryCache();
  return useSyncExternalStore(
    (listener) => asked.subscribe(notifyManager.batchCalls(listener)),
    () => asked.getAll().some((query) => query.isActive() && query.state.fetchFailureReason instanceof Away),
  );
}

/** Where the owner lets in no guests, signing in comes first. */
function Open({ children }: { children: ReactNode }) {
  const { error } = useQuery(queries.me);
  if (!(error instanceof Problem && error.code === "closed_to_guests")) return children;
  return (
    <Page title="Sign in to Everfold" about={error.message} isNarrow>
      <Card>
        <SignInForm />
      </Card>
    </Page>
  );
}

/** The hooks that are opened are those that come first in lists. */
function useRecent() {
  const [, shown] = useRoute("/hooks/:id");
  const id = shown?.id;
  useEffect(() => {
    if (id) remember(id);
  }, [id]);
}

/** Another tab signed in or out: what is shown here belongs to somebody else now. */
function useOneCaller() {
  const cache = useQueryClient();
  const id = useQuery(queries.me).data?.id;
  const before = useRef(id);
  useEffect(() => {
    if (id && before.current && id !== before.current) {
      void cache.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== "me" });
    }
    if (id) before.current = id;
  }, [id, cache]);
}

function Place({ href, children, isAside = false }: { href: string; children: ReactNode; isAside?: boolean }) {
  const [location] = useLocation();
  return (
    <Link
      href={href}
      className={isAside ? style.aside : undefined}
      aria-current={location === href || location.startsWith(`${href}/`) ? "page" : undefined}
    >
      {children}
    </Link>
  );
}

/** While the server is away the page goes on with what it has, and says so. */
function Line() {
  const isReconnecting = useReconnecting();
  const isUnanswered = useUnanswered();
  const isAway = isReconnecting || isUnanswered;
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
