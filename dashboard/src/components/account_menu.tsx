/** Who is looking, and what is theirs: the way in for guests, and for everybody the settings and the theme. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { DropdownMenu as Radix } from "radix-ui";
import { flushSync } from "react-dom";
import { useLocation } from "wouter";
import * as queries from "../api/queries.ts";
import { recover } from "../api/session.ts";
import { setTheme, THEMES, type Theme, useTheme } from "../theme.ts";
import style from "./account_menu.module.css";
import { Button } from "./button.tsx";
import { Icon, type IconName } from "./icon.tsx";
import { useSignIn } from "./sign_in.tsx";
import { useToast } from "./toast.tsx";

export function AccountMenu() {
  const { data: me, isError } = useQuery(queries.me);
  const signIn = useSignIn();
  const isUser = me?.workflowState === "user";
  return (
    <div className={style.account}>
      {(isError || me?.workflowState === "guest") && <Button onClick={signIn}>Sign in</Button>}
      <Radix.Root modal={false}>
        <Radix.Trigger className={style.trigger} title={me?.email ?? undefined}>
          <Icon name="person" />
          <span className="unseen">Account </span>
          {isUser && (
            <>
              <span className={style.address}>{me.email}</span>
              <Icon name="down" />
            </>
          )}
        </Radix.Trigger>
        <Radix.Content
          className={style.menu}
          align="end"
          sideOffset={6}
          collisionPadding={8}
          aria-label="Account"
          aria-labelledby={undefined}
        >
          <Items isUser={isUser} />
        </Radix.Content>
      </Radix.Root>
    </div>
  );
}

function Items({ isUser }: { isUser: boolean }) {
  const [, go] = useLocation();
  const theme = useTheme();
  const { signOut } = useSignOut();
  return (
    <>
      <Item icon="gear" onSelect={() => go("/settings")}>
        Settings
      </Item>
      <div className={style.narrow}>
        <Item icon="clock" onSelect={() => go("/history")}>
          History
        </Item>
        <Item icon="check" onSelect={() => go("/health")}>
          Health
        </Item>
        <Item icon="right" onSelect={() => location.assign("/docs")}>
          Docs
        </Item>
      </div>
      <Radix.Separator className={style.line} />
      <Radix.Label className={style.label}>Theme</Radix.Label>
      <Radix.RadioGroup value={theme} onValueChange={(theme) => setTheme(theme as Theme)} aria-label="Theme">
        {THEMES.map(({ theme, name }) => (
          <Radix.RadioItem
            key={theme}
            value={theme}
            className={style.item}
            // The menu stays: one sees what one chose.
            onSelect={(event) => event.preventDefault()}
          >
            <span className={style.mark}>
              <Radix.ItemIndicator>
                <Icon name="check" />
              </Radix.ItemIndicator>
            </span>
            {name}
          </Radix.RadioItem>
        ))}
      </Radix.RadioGroup>
      {isUser && (
        <>
          <Radix.Separator className={style.line} />
          <Item icon="left" onSelect={signOut}>
            Sign out
          </Item>
        </>
      )}
    </>
  );
}

function Item({ icon, onSelect, children }: { icon: IconName; onSelect: () => void; children: string }) {
  return (
    <Radix.Item className={style.item} onSelect={onSelect}>
      <span className={style.mark}>
        <Icon name={icon} />
      </span>
      {children}
    </Radix.Item>
  );
}

/** Nothing of the account stays in the page; who looks on is a guest. */
export function useSignOut() {
  const cache = useQueryClient();
  const toast = useToast();
  const [, go] = useLocation();
  const change = queries.useChange<void, void>(queries.signOut);
  return {
    isPending: change.isPending,
    // The promise outlives the menu that was closed.
    signOut: () => {
      // First the page goes, and what was listed: nothing of it is asked for again by somebody else.
      flushSync(() => go("/hooks"));
      cache.setQueryData(queries.hooks.queryKey, []);
      cache.removeQueries({ queryKey: ["hook"] });
      return cache
        .cancelQueries()
        .then(() => change.mutateAsync())
        .then(recover)
        .then(() => toast.done("You are signed out."), toast.failed)
        .then(() => cache.resetQueries());
    },
  };
}
