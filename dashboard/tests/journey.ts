/** A test of the pages: its own server, its own browser session, and a console that stays silent. */

import { test as base, type BrowserContext, expect } from "@playwright/test";
import { Server } from "./server.ts";

export { expect };

export const test = base.extend<{ server: Server; voice: Voice }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixtures that are wanted from the pattern.
  server: async ({}, use) => {
    const server = await Server.start();
    await use(server);
    await server.remove();
  },
  baseURL: ({ server }, use) => use(server.url),
  // biome-ignore lint/correctness/noEmptyPattern: as above.
  voice: async ({}, use) => use(new Voice()),
  context: async ({ context, voice }, use) => {
    voice.hear(context);
    await use(context);
    expect(voice.said, "the browser's console is silent").toEqual([]);
  },
});

/** What a refusal of the server looks like in the console, whatever the page makes of it. */
export const refusal = (status: number) => new RegExp(`^error: Failed to load resource: .* status of ${status} `);

/** What a browser says of a server that is not there. */
const AWAY = [
  /ERR_CONNECTION_REFUSED/,
  /ERR_CONNECTION_RESET/,
  /ERR_EMPTY_RESPONSE/,
  /^error: WebSocket connection to /,
];

/** Errors and warnings of the console, and what nobody caught. */
export class Voice {
  said: string[] = [];
  private expected: readonly RegExp[] = [];

  hear(context: BrowserContext) {
    context.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") {
        this.take(`${message.type()}: ${message.text()} (${message.location().url})`);
      }
    });
    context.on("weberror", (error) => this.take(`uncaught: ${error.error().stack ?? error.error().message}`));
  }

  /** While this goes on, and only then, these words are no surprise. */
  async expecting<Result>(words: readonly RegExp[], doing: () => Promise<Result>): Promise<Result> {
    this.expected = words;
    try {
      return await doing();
    } finally {
      this.expected = [];
    }
  }

  /** Begins before the server is killed, and ends when the page has found it again. */
  whileAway<Result>(doing: () => Promise<Result>): Promise<Result> {
    return this.expecting(AWAY, doing);
  }

  private take(words: string) {
    if (!this.expected.some((expected) => expected.test(words))) this.said.push(words);
  }
}
