/** `npm run screenshots`: not a test, but made by the same means. */

import { defineConfig } from "@playwright/test";
import journeys from "../../playwright.config.ts";

export default defineConfig({
  ...journeys,
  testDir: ".",
  testMatch: ["hooks.ts", "actions.ts", "functions.ts", "jobs.ts"],
  outputDir: "../../test-results/screenshots",
  workers: 1,
  timeout: 240_000,
});
