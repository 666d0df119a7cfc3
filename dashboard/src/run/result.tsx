/** How a run ended, and what it gave back: each key, then its value. */

import type { ReactNode } from "react";
import type { Json, Run } from "../api/types.ts";
import { CopyButton } from "../components/copy.tsx";
import { Icon, type IconName } from "../components/icon.tsx";
import { Still } from "../components/live_value.tsx";
import { placeOfTarget, usePlace } from "./displays/place.tsx";
import { cellWords } from "./displays/value.ts";
import style from "./result.module.css";
import { decoded, plain } from "./superjson.ts";
import { Cell } from "./table/cell.tsx";

const ENDS: Partial<Record<Run["status"], { name: string; icon: IconName; tone: string | undefined }>> = {
  success: { name: "Completed", icon: "check", tone: style.ok },
  failure: { name: "Error", icon: "warning", tone: style.bad },
  cancelled: { name: "Cancelled", icon: "cross", tone: style.plain },
  redirected: { name: "Redirected", icon: "right", tone: style.plain },
};

export function Result({ run }: { run: Run }) {
  const end = ENDS[run.status];
  if (!end) return null;
  return (
    <section className={style.result} aria-label="Result">
      <header className={style.head}>
        <p className={`${style.type} ${end.tone}`}>
          <Icon name={end.icon} /> <span data-pw="result-type">{end.name}</span>
        </p>
        {run.result !== null && run.result !== undefined && (
          <CopyButton text={JSON.stringify(run.result, null, 2)} label="Copy result as JSON" />
        )}
      </header>
      {run.error ? <Failure error={run.error} /> : <Values value={decoded(run.result, run.resultMeta)} />}
      {run.redirect && <Redirect run={run} />}
    </section>
  );
}

function Failure({ error: { name, message, cause, stack } }: { error: NonNullable<Run["error"]> }) {
  return (
    <>
      <dl className={style.values} data-pw="transaction-result">
        <Pair name="error">{name}</Pair>
        <Pair name="message">{message}</Pair>
        {cause && <Pair name="cause">{cause}</Pair>}
      </dl>
      {stack && (
        <details className={style.stack}>
          <summary>Where it was thrown</summary>
          <pre>{stack}</pre>
        </details>
      )}
    </>
  );
}

function Values({ value }: { value: unknown }) {
  if (value === null || value === undefined) return null;
  const isRecord = typeof value === "object" && !Array.isArray(value) && !isLeaf(value);
  if (!isRecord) {
    return (
      <div className={style.values} data-pw="transaction-result">
        <Value name="Result" value={value} />
      </div>
    );
  }
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return (
    <dl className={style.values} data-pw="transaction-result">
      {entries.map(([name, item]) => (
        <Pair key={String(name)} name={String(name)}>
          <Value name={String(name)} value={item} />
        </Pair>
      ))}
    </dl>
  );
}

function Pair({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

const isLeaf = (value: unknown) => value instanceof Date || value instanceof URL || value instanceof RegExp;

function Value({ name, value }: { name: string; value: unknown }) {
  if (typeof value === "object" && value !== null && !isLeaf(value)) {
    return <Still label={name} value={plain(value) as Json} root={name} />;
  }
  if (value === null || value === undefined) return <span className={style.nothing}>{String(value)}</span>;
  return typeof value === "string" ? (
    <Words text={value} />
  ) : (
    <Cell value={value instanceof URL ? value.href : value} />
  );
}

/** An address that is given back can be followed. */
function Words({ text }: { text: string }) {
  const isAddress = /^https?:\/\/\S+$/.test(text);
  const place = isAddress ? placeOfTarget({ url: text }) : undefined;
  if (!place) return <span className={style.text}>{cellWords(text)}</span>;
  return (
    <a href={text} target="_blank" rel="noopener noreferrer">
      {text}
    </a>
  );
}

/** The page goes there by itself where it stays here; who is led elsewhere is asked. */
function Redirect({ run }: { run: Run }) {
  const place = usePlace(run.redirect ?? undefined);
  if (!place) return null;
  return (
    <p className={style.redirect}>
      {place.isElsewhere ? "This action leads elsewhere: " : "This action led to "}
      <a href={place.href} rel="noopener noreferrer">
        {place.href}
      </a>
    </p>
  );
}
