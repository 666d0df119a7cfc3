/** As much of a service worker's world as ours needs: TypeScript's own types of it exclude those of a page. */

export interface WaitingEvent extends Event {
  waitUntil(done: Promise<unknown>): void;
}

export interface AskingEvent extends Event {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

export interface ServiceWorkerScope {
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(name: "install" | "activate", listen: (event: WaitingEvent) => void): void;
  addEventListener(name: "fetch", listen: (event: AskingEvent) => void): void;
}
