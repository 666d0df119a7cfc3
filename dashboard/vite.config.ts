import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin, transformWithOxc } from "vite";

/** The server that `npm run dev` shows the pages of. */
const SERVER = process.env.EVERFOLD_URL ?? "http://127.0.0.1:8080";

/** What the server writes into the page, while there is only Vite. */
const placeholders: Plugin = {
  name: "placeholders",
  apply: "serve",
  transformIndexHtml: (html) =>
    html.replace("__TITLE__", "Everfold").replaceAll("__NONCE__", "").replace("__SENTENCE__", ""),
};

/** A file that stands alone: TypeScript without imports, as a script. */
async function script(path: string): Promise<string> {
  const { code } = await transformWithOxc(await readFile(path, "utf8"), path);
  return `"use strict";(() => {\n${code.replace(/^export \{\};?$/m, "").replace(/\/\/# sourceMappingURL.*/, "")}})();\n`;
}

const THREADS = "virtual:threads";
const THREADS_PATH = "/jobs/threads.html";

/** Both are in force: what the server says of the file, and what the file says of itself, which knows its script. */
const threadsPolicy = (inline: string) =>
  `default-src 'none'; script-src ${inline} 'unsafe-eval'; worker-src blob:; base-uri 'none'; form-action 'none'`;

/** The frame of the threads (src/jobs/frame.ts): the one page beside index.html, at an address that this module tells. */
const threads: Plugin = {
  name: "threads",
  resolveId: (id) => (id === THREADS ? id : undefined),
  async load(id) {
    if (id !== THREADS) return undefined;
    if (this.meta.watchMode) return `export default ${JSON.stringify(THREADS_PATH)};`;
    const source = await threadsPage();
    const hash = createHash("sha256").update(source).digest("base64url").slice(0, 8);
    const fileName = `jobs/threads-${hash}.html`;
    this.emitFile({ type: "asset", fileName, source });
    return `export default ${JSON.stringify(`/${fileName}`)};`;
  },
  configureServer({ middlewares }) {
    middlewares.use(THREADS_PATH, (_request, response, next) => {
      threadsPage().then((page) => {
        response.setHeader("content-type", "text/html; charset=utf-8");
        response.setHeader("content-security-policy", `${threadsPolicy("'unsafe-inline'")}; sandbox allow-scripts`);
        response.end(page);
      }, next);
    });
  },
};

async function threadsPage(): Promise<string> {
  const of = (name: string) => script(resolve(import.meta.dirname, "src/jobs", name));
  const runner = JSON.stringify(await of("runner.ts")).replaceAll("<", "\\u003c");
  const inline = `const RUNNER = ${runner};\n${await of("frame.ts")}`;
  const policy = threadsPolicy(`'sha256-${createHash("sha256").update(inline).digest("base64")}'`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta http-equiv="content-security-policy" content="${policy}" />
<title>Threads</title>
</head>
<body><script>${inline}</script></body>
</html>
`;
}

/** What the page of jobs needs to be there without a server. */
const OFFLINE = ["/src/main.tsx", "/src/pages/jobs/jobs.tsx", "/src/editor/editor.tsx"];
const OFFLINE_TOO = /(threads|everfold|(inter|jetbrains-mono)-latin-wght)[^/]*$/;

/** The service worker (src/jobs/service_worker.ts), told the files of this very build. */
const offline: Plugin = {
  name: "offline",
  apply: "build",
  async generateBundle(_options, bundle) {
    const wanted = new Set(Object.keys(bundle).filter((name) => OFFLINE_TOO.test(name)));
    const want = (name: string) => {
      const file = bundle[name];
      if (wanted.has(name) || file?.type !== "chunk") return;
      wanted.add(name);
      file.imports.forEach(want);
      for (const style of file.viteMetadata?.importedCss ?? []) wanted.add(style);
    };
    for (const file of Object.values(bundle)) {
      if (file.type !== "chunk" || !file.facadeModuleId) continue;
      const module = file.facadeModuleId;
      if (file.isEntry || OFFLINE.some((path) => module.endsWith(path))) want(file.fileName);
    }
    const files = [...wanted].sort().map((name) => `/${name}`);
    const source = `const FILES = ${JSON.stringify(files)};\n${await script(resolve(import.meta.dirname, "src/jobs/service_worker.ts"))}`;
    this.emitFile({ type: "asset", fileName: "service-worker.js", source });
  },
};

export default defineConfig({
  plugins: [react(), placeholders, threads, offline],
  html: { cspNonce: "__NONCE__" },
  build: { target: "es2023", assetsInlineLimit: 0, chunkSizeWarningLimit: 5000, reportCompressedSize: false },
  worker: { format: "es" },
  server: {
    fs: { allow: [".."] },
    proxy: Object.fromEntries(
      [
        "/api",
        "/read",
        "/write",
        "/docs",
        "/dev",
        "/signin",
        "/openapi.json",
        "/hook-events",
        "/state-events",
        "/run-events",
        "/page-events",
        "/job-events",
        "/worker",
        "/f/",
      ].map((path) => [path, { target: SERVER, ws: path.endsWith("-events") || path === "/worker" }]),
    ),
  },
});
