/** Pages: what their code shows there, the actions on them, and what is said while a connected program is away. */

import { beGuest, makeHook } from "./hook.ts";
import { expect, RunPage, test } from "./run.ts";

const PEOPLE = `
const PEOPLE = Array.from({ length: 45 }, (_, n) => ({ number: n + 1, name: "Person " + (n + 1) }));

export const actions = {
  users: new Page({
    name: "Users",
    routes: { greet: async (io, ctx) => io.display.heading("Hello, " + ctx.params.name) },
    handler: async (display, ctx) => {
      await ctx.log("looked at by", ctx.page.slug);
      return new Layout({
        title: async () => "All users",
        description: Promise.resolve("Everybody there is"),
        menuItems: [{ label: "Greet Ada", route: "users/greet", params: { name: "Ada" } }],
        children: [
          display.metadata("Figures", { data: [{ label: "People", value: async () => PEOPLE.length }] }),
          display.table("All", {
            getData: async ({ offset, pageSize, queryTerm, sortColumn, sortDirection }) => {
              if (queryTerm === "nobody") throw new Error("nobody is called so");
              const found = PEOPLE.filter(({ name }) => name.includes(queryTerm ?? ""));
              if (sortColumn && sortDirection === "desc") found.reverse();
              return { data: found.slice(offset, offset + pageSize), totalRecords: found.length };
            },
            rowMenuItems: ({ name }) => [{ label: "Greet", route: "users/greet", params: { name } }],
          }),
        ],
      });
    },
  }),
  broken: new Page({ name: "Broken", handler: async () => { await io.input.text("Name"); } }),
};
`;

test("a hook's page shows what its code returns; its rows are paged, sorted and filtered; it leads to its actions", async ({
  page,
}) => {
  await beGuest(page);
  await makeHook(page, { name: "people", code: PEOPLE });
  const run = new RunPage(page);
  await page.goto("/p/users");
  await expect(page.getByRole("heading", { level: 1, name: "All users" })).toBeVisible();
  await expect(page.getByText("Everybody there is")).toBeVisible();
  await expect(page.getByText("1 - 20 of 45")).toBeVisible();
  await expect(page.getByRole("main").getByText("People", { exact: true })).toBeVisible();
  await run.button("Next page").click();
  await expect(page.getByText("21 - 40 of 45")).toBeVisible();
  const table = run.table("All");
  await expect(table.getByText("Person 21")).toBeVisible();
  await table.getByRole("button", { name: "number" }).click();
  await table.getByRole("button", { name: "number" }).click();
  await expect(table.getByText("Person 45")).toBeVisible();
  await page.getByRole("searchbox").fill("Person 3");
  await expect(page.getByText("1 - 11 of 11")).toBeVisible();
  await page.getByRole("searchbox").fill("nobody");
  await expect(page.getByRole("alert")).toContainText("All: nobody is called so");
  await page.getByRole("button", { name: "Logs" }).click();
  await expect(page.getByText("looked at by users")).toBeVisible();
  await page.getByRole("link", { name: "Greet Ada" }).click();
  await expect(page.getByRole("heading", { name: "Hello, Ada" })).toBeVisible();
  await page.goto("/p/broken");
  await expect(page.getByRole("alert")).toContainText("a page only shows");
});

test("a page shows what its program put there, and its rows are gone through", async ({ page, run }) => {
  await page.goto("/");
  await page.locator('[data-pw-action-group="users"]').click();
  await expect(page).toHaveURL(/\/p\/users$/);
  await expect(page.getByRole("heading", { level: 1, name: "All users" })).toBeVisible();
  await expect(page).toHaveTitle("All users · Everfold");
  await expect(page.getByText("1 - 20 of 45")).toBeVisible();
  await run.button("Next page").click();
  await expect(page.getByText("21 - 40 of 45")).toBeVisible();
  await expect(run.table("All").getByText("Person 21")).toBeVisible();

  await page.locator('[data-pw-run-slug="users/create"]').click();
  await expect(run.field("New name")).toBeVisible();
});

test("a page without code of its own lists its actions, but none that is unlisted", async ({ page, host: _ }) => {
  await page.goto("/p/heading");
  await expect(page.getByRole("heading", { level: 1, name: "A heading" })).toBeVisible();
  await expect(page.getByText("Nothing here yet")).toBeVisible();
});

test("a program that goes away is said to be offline, and its page is here again when it is back", async ({
  page,
  host,
  voice,
}) => {
  await page.goto("/p/users");
  await expect(page.getByText("1 - 20 of 45")).toBeVisible();
  await voice.expecting([/^error: WebSocket connection to /], async () => {
    await host.kill();
    await expect(page.getByRole("main").getByText("offline").first()).toBeVisible({ timeout: 20_000 });
    await expect(page.getByText("1 - 20 of 45")).toHaveCount(0);
    await host.startAgain();
    await expect(page.getByText("1 - 20 of 45")).toBeVisible({ timeout: 20_000 });
  });
});

test("who connects a program sees what it brought, and whether it is there", async ({ page, host }) => {
  await page.goto("/settings");
  const connected = page.getByRole("table", { name: "Connected actions" });
  const row = connected.getByRole("row").filter({ hasText: "users/create" });
  await expect(row).toContainText("online");
  const code = page.getByRole("group", { name: "the code that connects" });
  await expect(code).toContainText("/websocket");
  await page.getByRole("button", { name: "Make a key" }).click();
  await expect(code).toContainText(/apiKey: "everfold_api_[0-9a-f]+"/);
  await expect(page.getByRole("table", { name: "API keys" })).toContainText("connected app");
  await host.kill();
  await expect(row).toContainText("offline", { timeout: 20_000 });
});
