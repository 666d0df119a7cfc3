/** What is wrong with the server is said in words, the worst first, to who looks at its health. */

import type { Page } from "@playwright/test";
import type { Health } from "../src/api/types.ts";
import { beGuest } from "./hook.ts";
import { expect, test } from "./journey.ts";

/** The server's own answer, but for what is wrong. */
async function whereWrong(page: Page, wrong: (health: Health) => void) {
  await page.unrouteAll();
  await page.route("**/api/health", async (route) => {
    const answer = await route.fetch();
    const health = await answer.json();
    wrong(health);
    await route.fulfill({ response: answer, json: health });
  });
  await page.goto("/health");
}

const verdict = (page: Page) => page.getByRole("main").getByRole("status");
const wall = (page: Page, name: string) =>
  page.getByRole("region", { name: "Walls" }).getByRole("listitem").filter({ hasText: name });

test("a wall that fell and a disk that is full are said in words", async ({ page }) => {
  await beGuest(page);
  await page.goto("/health");
  await expect(verdict(page)).toContainText("All is well");
  await expect(wall(page, "landlock")).not.toContainText("does not hold");

  const fall = ({ walls }: Health, name: string) => {
    const fallen = walls.find((wall) => wall.name === name);
    if (fallen) Object.assign(fallen, { holds: false, detail: "The kernel has none." });
  };
  await whereWrong(page, (health) => fall(health, "landlock"));
  await expect(verdict(page)).toContainText("A wall around user code does not hold: landlock.");
  await expect(verdict(page)).not.toContainText("All is well");
  await expect(wall(page, "landlock")).toContainText("does not hold");
  await expect(wall(page, "landlock")).toContainText("The kernel has none.");
  await expect(wall(page, "capabilities")).not.toContainText("does not hold");

  await whereWrong(page, (health) => {
    fall(health, "landlock");
    fall(health, "system calls");
    health.store.freeBytes = 300_000_000;
  });
  await expect(verdict(page).getByRole("paragraph")).toContainText([
    "2 walls around user code do not hold.",
    "The disk is nearly full: 300 MB left.",
    "Everfold",
  ]);

  await whereWrong(page, (health) => {
    health.store.freeBytes = 300_000_000;
  });
  await expect(verdict(page)).toContainText("The disk is nearly full: 300 MB left.");
});

test("servers that share a database are shown, and what each of them has", async ({ page }) => {
  await beGuest(page);
  await page.goto("/health");
  const servers = page.getByRole("region", { name: "Servers" });
  await expect(verdict(page)).toContainText("All is well");
  await expect(servers).toHaveCount(0);

  const node = { version: "1.2.3", since: Date.now() - 60_000 };
  await whereWrong(page, (health) => {
    health.nodes = [
      { ...node, id: "1", address: "10.0.0.1:8080", leaseMs: 9_000, shards: 2_056, isHead: true },
      { ...node, id: "2", address: "10.0.0.2:8080", leaseMs: 8_000, shards: 2_040, isHead: false },
      { ...node, id: "3", address: "10.0.0.3:8080", leaseMs: 0, shards: 0, isHead: false },
    ];
  });
  await expect(servers.getByRole("listitem")).toContainText([
    /10\.0\.0\.1:8080.*head, 2,056 of 4,096 shards/,
    /10\.0\.0\.2:8080.*2,040 of 4,096 shards/,
    /10\.0\.0\.3:8080.*gone/,
  ]);
});
