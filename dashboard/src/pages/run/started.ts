/** Which runs were started by this page, a moment ago: what they lead to is followed, once. */

const started = new Set<string>();

export const startedHere = (id: string) => started.add(id);

/** Asked once: who comes back to the run later stays there. */
export const wasStartedHere = (id: string) => started.delete(id);
