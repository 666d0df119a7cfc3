/** What a job came to: its pictures, its numbers, its result, its error, and how far it is until then. */

import { isOver } from "../../api/jobs.ts";
import type { Json } from "../../api/types.ts";
import { Still } from "../../components/live_value.tsx";
import type { ShownJob } from "../../jobs/shown.ts";
import { Progress } from "../../run/progress.tsx";
import style from "./came.module.css";

export function HowFar({ job }: { job: ShownJob }) {
  if (isOver(job)) return null;
  const { progress, status } = job;
  const label = progress?.note || (status === "queued" ? "Waiting for a thread" : "Running");
  const far = job.count ? { done: job.done ?? 0, total: job.count } : progress;
  return (
    <Progress
      loading={{ label, ...(far && { itemsInQueue: far.total, itemsCompleted: Math.min(far.done, far.total) }) }}
    />
  );
}

/** Briefly, where pictures or numbers say it, without the rest. */
export function Came({ job, isBrief = false }: { job: ShownJob; isBrief?: boolean }) {
  const { error, result = null, status } = job;
  if (error) {
    return (
      <section className={style.failed} aria-label="Error">
        <p>
          <b>{error.name}</b>: {error.message}
        </p>
        {error.stack && (
          <details>
            <summary>Stack</summary>
            <pre>{error.stack}</pre>
          </details>
        )}
      </section>
    );
  }
  if (status !== "done") return null;
  const pictures = picturesOf(result);
  const results = job.count && Array.isArray(result) ? result : [];
  const numbers = numbersOf(results);
  return (
    <>
      <div className={style.digest}>
        {pictures.length > 0 && <Pictures pictures={pictures} />}
        {numbers.length > 0 && <Numbers names={numbers} results={results} />}
      </div>
      {!(isBrief && (pictures.length > 0 || numbers.length > 0)) && (
        <Still label="Result" value={result} root="result" />
      )}
    </>
  );
}

/** In order, edge to edge: pictures of tiles are the picture of the whole. */
function Pictures({ pictures }: { pictures: string[] }) {
  const across = Math.ceil(Math.sqrt(pictures.length));
  return (
    <div className={style.pictures} style={{ gridTemplateColumns: `repeat(${across}, minmax(0, 1fr))` }}>
      {pictures.map((picture, index) => (
        <img key={index} src={picture} alt={pictures.length > 1 ? `Result ${index + 1}` : "Result"} />
      ))}
    </div>
  );
}

/** What every result counts, over all of them. */
function Numbers({ names, results }: { names: string[]; results: Json[] }) {
  const sumOf = (name: string) => results.reduce<number>((sum, result) => sum + Number(recordOf(result)[name] ?? 0), 0);
  return (
    <table className={style.numbers}>
      <caption className="unseen">Over all results</caption>
      <thead>
        <tr>
          <th scope="col">Over all {results.length}</th>
          <th scope="col">Sum</th>
          <th scope="col">Mean</th>
        </tr>
      </thead>
      <tbody>
        {names.map((name) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{number.format(sumOf(name))}</td>
            <td>{number.format(sumOf(name) / results.length)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function numbersOf(results: Json[]): string[] {
  if (results.length < 2) return [];
  const counted = Object.entries(recordOf(results[0])).filter(([, value]) => typeof value === "number");
  return counted.map(([name]) => name);
}

const number = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 8 });

const recordOf = (value: Json | undefined): Record<string, Json> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};

/** A picture that is all in the text: nothing is loaded for it. */
const PICTURE = /^data:image\/(png|jpeg|webp);base64,[A-Za-z0-9+/]+=*$/;

function pictureOf(value: Json): string | undefined {
  const said = typeof value === "string" ? value : recordOf(value).image;
  return typeof said === "string" && PICTURE.test(said) ? said : undefined;
}

function picturesOf(result: Json): string[] {
  const one = pictureOf(result);
  if (one !== undefined) return [one];
  return Array.isArray(result) ? result.flatMap((item) => pictureOf(item) ?? []) : [];
}
