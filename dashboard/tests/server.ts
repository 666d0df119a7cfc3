/** The program itself, as a user starts it: on a port of its own, on data of its own. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const PROGRAM = process.env.EVERFOLD_BIN ?? resolve(import.meta.dirname, "../../target/release/everfold");
const START_MS_MAX = 20_000;

/** What `write` has under way at once. */
const CONNECTIONS = 16;
const PIPELINED = 32;

export class Server {
  readonly data: string;
  private process: ChildProcess | undefined;
  private address = "127.0.0.1:0";

  private constructor(data: string) {
    this.data = data;
  }

  static async start(): Promise<Server> {
    if (!existsSync(PROGRAM)) {
      throw new Error(`No server at ${PROGRAM}: build it with 'cargo build --release', or name one in EVERFOLD_BIN.`);
    }
    const server = new Server(await mkdtemp(join(tmpdir(), "everfold-dashboard-")));
    await server.run();
    return server;
  }

  get url(): string {
    return `http://${this.address}`;
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

  /** On the same data, and on the same port, so that pages find it again. */
  async startAgain() {
    await this.run();
  }

  async remove() {
    await this.kill();
    await rm(this.data, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Many requests, fast: over a few connections, each with several on their way. */
  async write(key: string, bodies: readonly unknown[]) {
    const [host, port] = this.address.split(":");
    let next = 0;
    const take = () => (next < bodies.length ? JSON.stringify(bodies[next++]) : undefined);
    const wanted = Math.min(CONNECTIONS, Math.ceil(bodies.length / PIPELINED));
    await Promise.all(
      Array.from({ length: wanted }, () => writeAll({ host: host ?? "", port: Number(port) }, key, take)),
    );
  }

  private async run() {
    const settings = Object.entries(process.env).filter(([name]) => !name.startsWith("EVERFOLD_"));
    const started = spawn(PROGRAM, ["serve", "--listen", this.address, "--data", this.data], {
      env: { ...Object.fromEntries(settings), EVERFOLD_GUEST_WRITES_PER_MINUTE: "0", NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process = started;
    this.address = await listening(started);
  }
}

function listening(started: ChildProcess): Promise<string> {
  return new Promise((done, fail) => {
    const said: string[] = [];
    const late = setTimeout(() => fail(new Error(`everfold does not listen:\n${said.join("\n")}`)), START_MS_MAX);
    const hear = (line: string) => {
      said.push(line);
      const address = line.split("listening on http://")[1]?.trim();
      if (!address) return;
      clearTimeout(late);
      done(address);
    };
    for (const stream of [started.stdout, started.stderr]) {
      if (stream) createInterface({ input: stream }).on("line", hear);
    }
    started.once("error", fail);
    started.once("exit", () => fail(new Error(`everfold ended before it listened:\n${said.join("\n")}`)));
  });
}

/** One connection: HTTP/1.1 answers come in the order of the requests, and every one of these is short. */
function writeAll(address: { host: string; port: number }, key: string, take: () => string | undefined): Promise<void> {
  return new Promise((done, fail) => {
    const socket = connect(address);
    let open = 0;
    let unread = "";
    const send = () => {
      let out = "";
      for (
        let body = open < PIPELINED ? take() : undefined;
        body !== undefined;
        body = open < PIPELINED ? take() : undefined
      ) {
        const length = Buffer.byteLength(body);
        out += `POST /write/${key} HTTP/1.1\r\nhost: everfold\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n${body}`;
        open += 1;
      }
      if (out) socket.write(out);
      if (open === 0) socket.end();
    };
    socket.setNoDelay(true);
    socket.on("connect", send);
    socket.on("data", (chunk) => {
      unread += chunk.toString("latin1");
      for (;;) {
        const head = unread.indexOf("\r\n\r\n");
        const length = /\r\ncontent-length: (\d+)/i.exec(unread.slice(0, head))?.[1];
        if (head < 0 || length === undefined || unread.length < head + 4 + Number(length)) break;
        if (!unread.startsWith("HTTP/1.1 202")) fail(new Error(`a request was refused: ${unread}`));
        unread = unread.slice(head + 4 + Number(length));
        open -= 1;
      }
      send();
    });
    socket.on("error", fail);
    socket.on("close", () => (open === 0 ? done() : fail(new Error("the server hung up"))));
  });
}
