/** Signing in: an address, and a link that comes to it by mail. */

import { useQuery } from "@tanstack/react-query";
import { createContext, type FormEvent, type ReactNode, useContext, useEffect, useState } from "react";
import { Problem } from "../api/http.ts";
import * as queries from "../api/queries.ts";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { Field } from "./field.tsx";
import { Icon } from "./icon.tsx";
import style from "./sign_in.module.css";

const Ask = createContext<() => void>(() => {});

/** Opens the dialog, from wherever. */
export const useSignIn = () => useContext(Ask);

export function SignInDialog({ children }: { children: ReactNode }) {
  const { data: me } = useQuery(queries.me);
  const [isOpen, setOpen] = useState(false);
  const isUser = me?.workflowState === "user";
  // The link was followed in another tab.
  useEffect(() => {
    if (isUser) setOpen(false);
  }, [isUser]);
  return (
    <Ask value={() => setOpen(true)}>
      {children}
      <Dialog title="Sign in" isOpen={isOpen} onClose={() => setOpen(false)}>
        <SignInForm />
      </Dialog>
    </Ask>
  );
}

export function SignInForm() {
  const [email, setEmail] = useState("");
  const ask = queries.useChange(queries.askForLink);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    ask.mutate(email.trim());
  };
  if (ask.isSuccess) return <OnItsWay email={ask.variables} onAgain={ask.reset} />;
  const hint = ask.error instanceof Problem ? ask.error.hint : undefined;
  return (
    <form className={style.form} onSubmit={submit}>
      <Field
        label="E-mail"
        type="email"
        name="email"
        autoComplete="email"
        placeholder="you@example.com"
        required
        value={email}
        onChange={(event) => setEmail(event.target.value)}
        hint="You get a link that signs you in. There is no password."
        error={ask.error ? [ask.error.message, hint].filter(Boolean).join(" ") : undefined}
      />
      <Button type="submit" kind="main" isBusy={ask.isPending}>
        Send me a link
      </Button>
    </form>
  );
}

function OnItsWay({ email, onAgain }: { email: string; onAgain: () => void }) {
  const { data: isMailKept } = useQuery(queries.isMailKept);
  return (
    <div className={style.sent} role="status">
      <p className={style.words}>
        <Icon name="send" />
        <span>
          A link is on its way to <strong>{email}</strong>. Open it within an hour; your hooks come along.
        </span>
      </p>
      {isMailKept && (
        <p className={style.kept}>
          This is a developer’s machine, so the mail stays here: <a href="/dev/mail">read it at /dev/mail</a>.
        </p>
      )}
      <Button kind="quiet" icon="left" onClick={onAgain}>
        Another address
      </Button>
    </div>
  );
}

/** What a guest is, said once, at the foot of the hooks. */
export function GuestNote({ what = "hooks" }: { what?: string }) {
  const { data: me } = useQuery(queries.me);
  const signIn = useSignIn();
  if (me?.workflowState !== "guest") return null;
  return (
    <p className={style.note}>
      Guests’ {what} live in this browser;{" "}
      <button type="button" onClick={signIn}>
        sign in
      </button>{" "}
      to keep them.
    </p>
  );
}
