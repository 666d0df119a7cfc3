/** Functions, made over the API before a person comes to look; and the parts of their pages, by name. */

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Locator, Page } from "@playwright/test";
import type { Deployment, Execution, Machine, UserFunction } from "../src/api/types.ts";
import { expect } from "./journey.ts";

const BUILD_MS_MAX = 60_000;

/** Greets, and says so. */
export const GREETER = {
  "index.mjs": `export default ({ req, res, log, error }) => {
  log("asked for " + req.path);
  if (req.path === "/throw") throw new Error("this cannot be done");
  return res.json({ greeting: process.env.GREETING ?? "Hello", name: req.query.name ?? "nobody" });
};
`,
};

/** A tar.gz of these files. */
export async function archive(files: Record<string, string>): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), "everfold-code-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    const { stdout } = await promisify(execFile)("tar", ["-czf", "-", "-C", folder, "."], { encoding: "buffer" });
    return stdout;
  } finally {
    await rm(folder, { recursive: true });
  }
}

export async function sent(files: Record<string, string>, name = "code.tar.gz") {
  return { name, mimeType: "application/gzip", buffer: await archive(files) };
}

export async function makeFunction(page: Page, made: Partial<UserFunction> & { runtime: string }) {
  const answer = await page.request.post("/api/functions", { data: { name: "greeter", ...made } });
  expect(answer.status(), await answer.text()).toBe(201);
  return (await answer.json()) as UserFunction;
}

/** Ends when it is built. */
export async function deploy(page: Page, { id }: UserFunction, files: Record<string, string>): Promise<Deployment> {
  const answer = await page.request.post(`/api/functions/${id}/deployments`, {
    multipart: { code: await sent(files) },
  });
  expect(answer.status(), await answer.text()).toBe(201);
  const { id: deployment } = (await answer.json()) as Deployment;
  return built(page, id, deployment);
}

export async function built(page: Page, id: string, deployment: string): Promise<Deployment> {
  const read = async (): Promise<Deployment> =>
    (await page.request.get(`/api/functions/${id}/deployments/${deployment}`)).json();
  await expect.poll(async () => (await read()).status, { timeout: BUILD_MS_MAX }).not.toMatch(/waiting|building/);
  return read();
}

export async function execute(page: Page, { id }: UserFunction, path = "/"): Promise<Execution> {
  const answer = await page.request.post(`/api/functions/${id}/executions`, { data: { path } });
  expect(answer.status(), await answer.text()).toBe(201);
  return answer.json();
}

export async function machine(page: Page): Promise<Machine> {
  return (await page.request.get("/api/runtimes")).json();
}

/** The page of a function, as whoever looks at it or listens to it finds its parts. */
export class FunctionPage {
  readonly page: Page;
  readonly code: Locator;
  readonly answer: Locator;
  readonly sheet: Locator;
  readonly log: Locator;
  readonly deployments: Locator;
  readonly executions: Locator;
  readonly variables: Locator;

  constructor(page: Page) {
    this.page = page;
    this.code = page.getByLabel("Code, as a .tar.gz or a .zip");
    this.answer = page.getByRole("region", { name: "Answer", exact: true });
    this.sheet = page.getByRole("dialog");
    this.log = this.sheet.getByRole("group", { name: "Build log" });
    this.deployments = page.getByRole("table", { name: "Deployments" });
    this.executions = page.getByRole("table", { name: "Executions" });
    this.variables = page.getByRole("table", { name: "Variables" });
  }

  async open({ id }: UserFunction, tab = "") {
    await this.page.goto(`/functions/${id}${tab && `?tab=${tab}`}`);
  }

  tab(name: string): Locator {
    return this.page.getByRole("tab", { name, exact: true });
  }

  button(name: string): Locator {
    return this.page.getByRole("button", { name, exact: true });
  }

  toast(words: string | RegExp): Locator {
    return this.page.getByRole("status").filter({ hasText: words });
  }

  /** Sends an archive, and waits in its sheet until it is built. */
  async upload(files: Record<string, string>, status = "active") {
    await this.code.setInputFiles(await sent(files));
    await expect(this.sheet).toBeVisible();
    await expect(this.sheet.getByText(status, { exact: true })).toBeVisible({ timeout: BUILD_MS_MAX });
  }

  async close() {
    await this.sheet.getByRole("button", { name: "Close" }).click();
    await expect(this.sheet).toHaveCount(0);
  }

  /** From the tab Overview. */
  async send(path: string) {
    await this.tab("Overview").click();
    await this.page.getByRole("textbox", { name: "Path" }).fill(path);
    await this.button("Send request").click();
  }
}
