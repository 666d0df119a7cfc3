/** A program of a user's that connects with @interval/sdk: everfold/tests/host, which has an action for each method. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Page } from "@playwright/test";
import { expect } from "./journey.ts";
import type { Server } from "./server.ts";

const PROGRAM = resolve(import.meta.dirname, "../../everfold/tests/host");
const START_MS_MAX = 20_000;

export class Host {
  private readonly settings: NodeJS.ProcessEnv;
  private process: ChildProcess | undefined;

  private constructor(settings: NodeJS.ProcessEnv) {
    this.settings = settings;
  }

  /** For whoever the browser is. */
  static async start(server: Server, page: Page): Promise<Host> {
    if (!existsSync(resolve(PROGRAM, "node_modules"))) throw new Error(`Run 'npm ci' in ${PROGRAM}.`);
    const made = await page.request.post("/api/keys", { data: { type: "api", name: "host" } });
    expect(made.status(), await made.text()).toBe(201);
    const { key } = (await made.json()) as { key: string };
    const host = new Host({ ...process.env, KEY: key, ENDPOINT: `${server.url.replace("http", "ws")}/websocket` });
    await host.startAgain();
    return host;
  }

  /** As `kill -9` does. */
  async kill() {
    const { process } = this;
    this.process = undefined;
    if (!process || process.exitCode !== null || process.signalCode !== null) return;
    const ended = new Promise((done) => process.once("exit", done));
    process.kill("SIGKILL");
    await ended;
  }

  async startAgain() {
    const started = spawn(process.execPath, ["host.mjs"], { cwd: PROGRAM, env: this.settings, stdio: "pipe" });
    this.process = started;
    await new Promise<void>((done, fail) => {
      const said: string[] = [];
      const late = setTimeout(() => fail(new Error(`the host does not connect:\n${said.join("\n")}`)), START_MS_MAX);
      const hear = (line: string) => {
        said.push(line);
        if (!line.includes('"listening"')) return;
        clearTimeout(late);
        done();
      };
      for (const stream of [started.stdout, started.stderr]) createInterface({ input: stream }).on("line", hear);
      started.once("exit", () => fail(new Error(`the host ended:\n${said.join("\n")}`)));
    });
  }
}
