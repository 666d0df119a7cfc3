/** What tabs of one browser agree on. Pages that came without TLS cannot, and each goes ahead as if it were alone. */

/** One tab at a time. */
export function oneAtATime(name: string, run: () => Promise<void>): Promise<void> {
  return navigator.locks ? navigator.locks.request(name, run) : run();
}

/** Holds it as long as the tab is there, or until what is returned is called. */
export function hold(name: string): () => void {
  let release = () => {};
  let isOver = false;
  const held = () =>
    new Promise<void>((resolve) => {
      release = resolve;
      if (isOver) resolve();
    });
  void navigator.locks?.request(name, held);
  return () => {
    isOver = true;
    release();
  };
}

/** What is held by any tab. */
export async function allHeld(): Promise<ReadonlySet<string>> {
  const { held = [] } = (await navigator.locks?.query()) ?? {};
  return new Set(held.flatMap(({ name }) => name ?? []));
}

/** UUIDv7, whose order is that of time. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  new DataView(bytes.buffer).setUint32(0, Math.floor(Date.now() / 2 ** 16));
  new DataView(bytes.buffer).setUint16(4, Date.now() % 2 ** 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
