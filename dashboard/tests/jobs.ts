/** Jobs, as a program gives them and as a person at their page does. */

import type { Locator, Page } from "@playwright/test";
import type { Job, JobWorker, Json } from "../src/api/types.ts";
import { rewrite } from "./hook.ts";
import { expect } from "./journey.ts";

export interface Order {
  code: string;
  name?: string;
  input?: Json;
  inputs?: Json[];
  timeoutMs?: number;
  where?: "any" | "tab" | "server";
}

/** Gives the server a job, which runs in a tab. */
export async function submit(page: Page, order: Order): Promise<string> {
  const answer = await page.request.post("/api/jobs", { data: { where: "tab", ...order } });
  expect(answer.status(), await answer.text()).toBe(202);
  return (await answer.json()).id;
}

export async function read(page: Page, id: string): Promise<Job> {
  const answer = await page.request.get(`/api/jobs/${id}`);
  expect(answer.status(), await answer.text()).toBe(200);
  return answer.json();
}

export async function over(page: Page, id: string, timeout = 20_000): Promise<Job> {
  await expect
    .poll(async () => (await read(page, id)).status, { timeout, intervals: [50, 100, 200] })
    .not.toMatch(/^(queued|leased)$/);
  return read(page, id);
}

export async function all(page: Page): Promise<Job[]> {
  return (await (await page.request.get("/api/jobs")).json()).objects;
}

/** Those that are connected: tabs, where the test has nothing else. */
export async function tabs(page: Page): Promise<JobWorker[]> {
  const { objects } = (await (await page.request.get("/api/workers")).json()) as { objects: JobWorker[] };
  return objects.filter(({ kind }) => kind === "tab");
}

/** Works for so long without looking up. */
export const spin = (ms: number, result = "input") =>
  `const until = performance.now() + ${ms}; while (performance.now() < until); return ${result};`;

export class JobsPage {
  readonly page: Page;
  readonly code: Locator;
  readonly run: Locator;
  readonly threads: Locator;
  readonly jobs: Locator;
  readonly workers: Locator;
  readonly localMode: Locator;
  readonly lastRun: Locator;
  /** What this tab's threads are doing, each in a line. */
  readonly doing: Locator;

  constructor(page: Page) {
    this.page = page;
    this.code = page.getByRole("textbox", { name: "Code", exact: true });
    this.run = page.getByRole("button", { name: "Run", exact: true });
    this.threads = page.getByRole("spinbutton", { name: "Threads" });
    this.jobs = page.getByRole("table", { name: "Jobs" });
    this.workers = page.getByRole("table", { name: "Workers" });
    this.localMode = page.getByText("local mode", { exact: true });
    this.lastRun = page.getByRole("region", { name: "Last run" });
    this.doing = page.getByRole("list", { name: "Threads of this tab" }).getByRole("listitem");
  }

  async open() {
    await this.page.goto("/jobs");
    await this.connected();
  }

  /** It is a worker. */
  async connected() {
    await expect(this.page.getByRole("status").getByText("connected", { exact: true })).toBeVisible();
  }

  async write(code: string, input = "", isFannedOut = false) {
    await this.page.bringToFront();
    await rewrite(this.code, code);
    await this.page.getByRole("textbox", { name: "Input" }).fill(input);
    await this.page.getByRole("checkbox", { name: "Once for each item" }).setChecked(isFannedOut);
    await this.page.getByRole("combobox", { name: "Where" }).selectOption("tab");
  }

  row(name: string): Locator {
    return this.jobs.getByRole("row").filter({ hasText: name });
  }

  sheet(name: string): Locator {
    return this.page.getByRole("dialog", { name, exact: true });
  }
}
