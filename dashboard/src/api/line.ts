/** A line to the server that stays: where it breaks it is mended, and the page can say that it is broken. */

import { useSyncExternalStore } from "react";
import { entered, recover } from "./session.ts";

const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 2_000;

interface Line {
  /** Of a WebSocket of this server, such as `/hook-events?hookId=1`. */
  path: string;
  /** It is up; `wasDown` says that something may have been missed. */
  onUp?: (wasDown: boolean, send: (frame: string) => void) => void;
  onDown?: () => void;
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

/**
 * As `listen`, for what is one's own: who is here for the first time is nobody yet. To whom the server is closed, nothing
 * is told; where nobody answers, the line goes on asking.
 */
export function listenAsOneself(line: Line): () => void {
  let isOver = false;
  let hangUp = () => {};
  const begin = () => {
    if (!isOver) hangUp = listen(line);
  };
  entered().then(begin, (error: Error) => {
    if (error.name === "Away") begin();
  });
  return () => {
    isOver = true;
    hangUp();
  };
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
    const made = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${line.path}`);
    socket = made;
    socket.onopen = () => {
      delay = RETRY_MS_MIN;
      setLine(line, true);
      line.onUp?.(wasDown, (frame) => made.send(frame));
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
      line.onDown?.();
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
