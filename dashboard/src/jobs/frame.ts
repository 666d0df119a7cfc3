/**
 * The frame that threads live in: begins and ends them as the page says, and hears nothing of what they do.
 *
 * It is of an opaque origin (`sandbox`), and its policy, which its threads inherit, knows no address at all. Built by
 * itself (vite.config.ts), so it imports nothing but types.
 */

import type { Notice, Order } from "./words.ts";

/** The text of runner.ts, built: put here by vite.config.ts. */
declare const RUNNER: string;

const runner = URL.createObjectURL(new Blob([RUNNER], { type: "text/javascript" }));

// Only who made the frame is heard, and only once: from then on there is the port.
addEventListener("message", function first({ source, ports: [page] }: MessageEvent) {
  if (source !== parent || !page || origin !== "null") return;
  removeEventListener("message", first);
  serve(page);
});

function serve(page: MessagePort) {
  const threads = new Map<number, Worker>();
  const tell = (notice: Notice) => page.postMessage(notice);
  page.onmessage = ({ data: order, ports: [port] }: MessageEvent<Order>) => {
    if (order.type === "ask") return tell({ type: "ready" });
    const { thread } = order;
    threads.get(thread)?.terminate();
    threads.delete(thread);
    if (order.type === "end" || !port) return;
    const begun = new Worker(runner, { name: `thread ${thread}` });
    begun.onerror = (event) => {
      event.preventDefault();
      if (threads.get(thread) === begun) tell({ type: "broken", thread });
    };
    begun.postMessage(order.manners, [port]);
    threads.set(thread, begun);
  };
  tell({ type: "ready" });
}
