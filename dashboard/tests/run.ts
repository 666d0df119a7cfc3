/** The page of a run, by what a person finds in it. */

import type { BrowserContextOptions, Locator, Page } from "@playwright/test";
import { beGuest } from "./hook.ts";
import { Host } from "./host.ts";
import { expect, test as journey, refusal } from "./journey.ts";
import { Server } from "./server.ts";

export { expect };

/** A journey on which a program of the browser's is connected. */
export const test = journey.extend<{ host: Host; run: RunPage; refused: Refused }>({
  host: async ({ server, page }, use) => {
    await beGuest(page);
    const host = await Host.start(server, page);
    await use(host);
    await host.kill();
  },
  run: ({ page, host: _ }, use) => use(new RunPage(page)),
  refused: ({ run, voice }, use) =>
    use((...words) =>
      voice.expecting([refusal(422)], async () => {
        await run.goOn.first().click();
        await expect(run.fieldError).toHaveCount(words.length);
        for (const [place, said] of words.entries()) await expect(run.fieldError.nth(place)).toContainText(said);
      }),
    ),
});

/** One server, one program and one account for all journeys of a worker: no run knows of another. */
export const together = test.extend<object, { home: Home }>({
  home: [
    async ({ browser }, use) => {
      const server = await Server.start();
      const page = await browser.newPage({ baseURL: server.url });
      await beGuest(page);
      const host = await Host.start(server, page);
      const storageState = await page.context().storageState();
      await page.close();
      await use({ server, host, storageState });
      await host.kill();
      await server.remove();
    },
    { scope: "worker" },
  ],
  server: ({ home }, use) => use(home.server),
  host: ({ home }, use) => use(home.host),
  storageState: ({ home }, use) => use(home.storageState),
});

interface Home {
  server: Server;
  host: Host;
  storageState: Exclude<BrowserContextOptions["storageState"], undefined>;
}

/** Sends what is filled in, and reads what is said at each field that will not do, from top to bottom. */
type Refused = (...words: string[]) => Promise<void>;

export class RunPage {
  readonly page: Page;
  readonly fieldError: Locator;
  readonly formError: Locator;
  readonly resultType: Locator;
  readonly result: Locator;
  readonly goOn: Locator;

  constructor(page: Page) {
    this.page = page;
    this.fieldError = page.locator('[data-pw="field-error"]');
    this.formError = page.locator('[data-pw="form-error"]');
    this.resultType = page.locator('[data-pw="result-type"]');
    this.result = page.locator('[data-pw="transaction-result"]');
    this.goOn = page.locator('button[data-pw="continue-button"]');
  }

  async start(slug: string, params = "") {
    await this.page.goto(`/a/${slug}${params}`);
    await this.page.waitForURL(/\/r\/[0-9a-f-]+$/);
  }

  get id(): string {
    return new URL(this.page.url()).pathname.split("/").at(-1) ?? "";
  }

  /** What is said to an answer that no form here would send. */
  async refusalOf(answer: { values: unknown[]; choice?: string }): Promise<string> {
    const path = `/api/runs/${this.id}`;
    await expect.poll(async () => (await (await this.page.request.get(path)).json()).status).toBe("waiting");
    const { question } = await (await this.page.request.get(path)).json();
    const refused = await this.page.request.post(`${path}/answers`, { data: { key: question.key, ...answer } });
    expect(refused.status()).toBe(422);
    const { fields } = await refused.json();
    return fields.map(({ message }: { message: string }) => message).join("\n");
  }

  field(label: string): Locator {
    return this.page.getByLabel(label, { exact: true });
  }

  button(name: string): Locator {
    return this.page.getByRole("button", { name, exact: true });
  }

  table(name: string): Locator {
    return this.page.getByRole("table", { name, exact: true });
  }

  async ends(as: "Completed" | "Error" | "Cancelled" | "Redirected") {
    await expect(this.resultType).toHaveText(as);
  }

  /** What was given back, each key with its value. */
  async gave(values: Record<string, string | RegExp>) {
    await this.ends("Completed");
    for (const [key, value] of Object.entries(values)) {
      await expect(this.result.locator(`dt:text-is("${key}") + dd`)).toHaveText(value);
    }
  }
}
