/** A clock that goes on while nobody looks at the tab; where its worker is not there, the tab's own, which may not. */

interface Ticking {
  ms: number;
  run: () => void;
  timer?: ReturnType<typeof setInterval>;
}

const ticking = new Map<number, Ticking>();
let next = 0;
let worker: Worker | undefined;
let hasWorker = true;

/** Runs it again and again, until what is returned is called. */
export function every(ms: number, run: () => void): () => void {
  const id = next++;
  const one: Ticking = { ms, run };
  ticking.set(id, one);
  if (hasWorker) {
    worker ??= begun();
    worker.postMessage({ id, ms });
  } else {
    one.timer = setInterval(run, ms);
  }
  return () => {
    ticking.delete(id);
    clearInterval(one.timer);
    worker?.postMessage({ id, ms: null });
  };
}

function begun(): Worker {
  const worker = new Worker(new URL("./clock.worker.ts", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }: MessageEvent<number>) => ticking.get(data)?.run();
  // Its file is not one that a service worker answers for.
  worker.onerror = (event) => {
    event.preventDefault();
    hasWorker = false;
    for (const one of ticking.values()) one.timer ??= setInterval(one.run, one.ms);
  };
  return worker;
}
