/** The page of a run, by what a person finds in it. */

import type { Locator, Page } from "@playwright/test";
import { beGuest } from "./hook.ts";
import { Host } from "./host.ts";
import { expect, test as journey } from "./journey.ts";

export { expect };

/** A journey on which a program of the browser's is connected. */
export const test = journey.extend<{ host: Host; run: RunPage }>({
  host: async ({ server, page }, use) => {
    await beGuest(page);
    const host = await Host.start(server, page);
    await use(host);
    await host.kill();
  },
  run: ({ page, host: _ }, use) => use(new RunPage(page)),
});

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
  async gave(values: Record<string, string>) {
    await this.ends("Completed");
    for (const [key, value] of Object.entries(values)) {
      await expect(this.result.locator(`dt:text-is("${key}") + dd`)).toHaveText(value);
    }
  }
}
