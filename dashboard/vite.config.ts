import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** The server that `npm run dev` shows the pages of. */
const SERVER = process.env.EVERFOLD_URL ?? "http://127.0.0.1:8080";

/** What the server writes into the page, while there is only Vite. */
const placeholders: Plugin = {
  name: "placeholders",
  apply: "serve",
  transformIndexHtml: (html) =>
    html.replace("__TITLE__", "Everfold").replaceAll("__NONCE__", "").replace("__SENTENCE__", ""),
};

export default defineConfig({
  plugins: [react(), placeholders],
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
      ].map((path) => [path, { target: SERVER, ws: path.endsWith("-events") }]),
    ),
  },
});
