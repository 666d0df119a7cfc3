/** A line to the server that stays: where it breaks it is mended, and the page can say that it is broken. */

import { useSyncExternalStore } from "react";
import { recover } from "./session.ts";

const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 2_000;

interface Line {
  /** Of a WebSocket of this server, such as `/hook-events?hookId=1`. */
  path: string;
  /** It is up; `wasDown` says that something may have been missed. */
  onUp?: (wasDown: boolean) => void;
  onFrame: (frame: string) => void;
}

const lines = new Map<Line, boolean>();
const listeners = new Set<() => void>();

function setLine(line: Line, isUp: boolean | undefined) {
  if (isUp === undefined) lines.delete(line);
  else lines.set(line, isUp);
  for (const listener of listeners) listener();
}

/** Whether a line that should be there is down. */
export function useReconnecting(): boolean {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => [...lines.values()].includes(false),
  );
}

/** Listens until what it returns is called. */
export function listen(line: Line): () => void {
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let delay = RETRY_MS_MIN;
  let isOver = false;
  let wasDown = false;

  const connect = () => {
    if (isOver) return;
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${line.path}`);
    socket.onopen = () => {
      delay = RETRY_MS_MIN;
      setLine(line, true);
      line.onUp?.(wasDown);
      wasDown = false;
    };
    socket.onmessage = ({ data }) => {
      if (data === "ping") socket?.send("pong");
      else line.onFrame(data);
    };
    socket.onclose = () => {
      if (isOver) return;
      wasDown = true;
      setLine(line, false);
      timer = setTimeout(() => {
        recover().then(connect, () => {
          if (!isOver) socket?.onclose?.(new CloseEvent("close"));
        });
      }, delay);
      delay = Math.min(delay * 2, RETRY_MS_MAX);
    };
  };
  setLine(line, true);
  connect();
  return () => {
    isOver = true;
    clearTimeout(timer);
    setLine(line, undefined);
    if (!socket) return;
    socket.onclose = null;
    // Browsers grumble about a line that is cut before it is there.
    if (socket.readyState === WebSocket.CONNECTING) socket.onopen = ({ target }) => (target as WebSocket).close();
    else socket.close();
  };
}
