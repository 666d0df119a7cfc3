/** Ticks. The clocks of a tab that nobody looks at stand still for up to a minute; those of a worker do not. */

const ticking = new Map<number, ReturnType<typeof setInterval>>();

self.onmessage = ({ data: { id, ms } }: MessageEvent<{ id: number; ms: number | null }>) => {
  clearInterval(ticking.get(id));
  ticking.delete(id);
  if (ms !== null)
    ticking.set(
      id,
      setInterval(() => postMessage(id), ms),
    );
};
