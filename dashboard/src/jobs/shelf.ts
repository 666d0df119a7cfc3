/** Where jobs of this browser lie while the server is away: IndexedDB, and nothing else speaks to it. */

import type { Job, Json } from "../api/types.ts";
import type { JobError, Progress } from "./words.ts";

const NAME = "everfold-jobs";
const STORE = "jobs";

/** A job that runs where no server is, until it is delivered. */
export interface LocalJob {
  /** Its id, and what it is delivered under, once. */
  key: string;
  /** The server was given it before it was away. */
  isMoved: boolean;
  /** Whose it is: told to nobody else's account. */
  owner: string | null;
  /** The tab that runs it. */
  tab: string;
  name?: string;
  code: string;
  input?: Json;
  inputs?: Json[];
  timeoutMs: number;
  status: "queued" | "leased" | "done" | "failed" | "timed_out" | "cancelled";
  attempts: number;
  /** Of each input that is done. */
  results: Record<number, Json>;
  /** How many these are. */
  done: number;
  result?: Json;
  error?: JobError;
  console: Job["console"];
  progress?: Progress;
  createdAt: number;
  startedAt?: number;
  finishedAt?: number;
  /** Why the server did not take it. */
  refusal?: string;
}

let opened: Promise<IDBDatabase> | undefined;

function open(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

async function within<T>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const transaction = (await open()).transaction(STORE, mode);
  return new Promise((resolve, reject) => {
    const request = ask(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

export const shelved = (): Promise<LocalJob[]> => within("readonly", (store) => store.getAll());
export const shelve = (job: LocalJob) => within("readwrite", (store) => store.put(job));
export const unshelve = (key: string) => within("readwrite", (store) => store.delete(key));
