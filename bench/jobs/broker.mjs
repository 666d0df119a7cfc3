// The plain way: a broker in Node that hands jobs round over `ws`, in memory, and workers that run them in process.
// node broker.mjs JOBS prints {"perS"}; the workers are processes of their own, each with four jobs at once.

import { fork } from "node:child_process";
import { WebSocket, WebSocketServer } from "ws";

const [jobs, port] = process.argv.slice(2).map(Number);
const WORKERS = 4;
const THREADS = 4;

function work() {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  socket.on("open", () => socket.send(JSON.stringify({ type: "hello", threads: THREADS })));
  socket.on("message", async (text) => {
    const { id, code, input } = JSON.parse(text);
    const value = await new Function("input", code)(input);
    socket.send(JSON.stringify({ type: "result", id, value: value ?? null }));
  });
  socket.on("close", () => process.exit());
}

function broker() {
  const workers = [];
  let [next, over, turn, begun] = [0, 0, 0, 0];
  const handOut = () => {
    while (next < jobs) {
      const order = workers.map((_, index) => workers[(turn + index) % workers.length]);
      const free = order.find((worker) => worker.running < THREADS);
      if (!free) return;
      turn = workers.indexOf(free) + 1;
      free.running += 1;
      free.socket.send(JSON.stringify({ type: "job", id: next++, code: "", input: null }));
    }
  };
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" }, () => {
    for (let n = 0; n < WORKERS; n++) fork(import.meta.filename, ["0", String(server.address().port)]);
  });
  server.on("connection", (socket) => {
    const worker = { socket, running: 0 };
    socket.on("message", (text) => {
      const message = JSON.parse(text);
      if (message.type === "hello") {
        workers.push(worker);
        if (workers.length < WORKERS) return;
        begun = performance.now();
      } else {
        worker.running -= 1;
        over += 1;
      }
      if (over === jobs) {
        console.log(JSON.stringify({ perS: (jobs / (performance.now() - begun)) * 1e3 }));
        process.exit();
      }
      handOut();
    });
  });
}

if (jobs) broker();
else work();
