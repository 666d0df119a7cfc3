/** Pages follow what happens, wherever it was done, and find the server again when it comes back. */

import { beGuest, changeHook, COUNTER, folded, hookPage, makeHook, publish, sendAll } from "./hook.ts";
import { expect, test } from "./journey.ts";

test("what is done in one tab is seen in the other", async ({ page, context }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const other = await context.newPage();
  const [here, there] = [hookPage(page), hookPage(other)];
  await here.open(made.id);
  await there.open(made.id);
  await expect(other.getByText("No requests yet")).toBeVisible();
  await here.button("Send request").click();
  for (const tab of [here, there]) {
    await expect(tab.row(1)).toContainText("tea");
    await expect(tab.line("total: 1")).toBeVisible();
  }
  await other.getByRole("textbox", { name: "Body" }).fill('{"name": "jam"}');
  await there.button("Send request").click();
  for (const tab of [here, there]) await expect(tab.line("total: 2")).toBeVisible();

  await changeHook(page, made.id, { code: COUNTER.replace("+ 1", "+ 100") });
  await publish(page, made.id);
  for (const tab of [here, there]) await expect(tab.line("total: 200")).toBeVisible();
});

test("a server killed and started again: the page says so, and recovers by itself with what it missed", async ({
  page,
  server,
  voice,
}) => {
  await beGuest(page);
  const made = await makeHook(page);
  await sendAll(page, made, [{ name: "before" }]);
  const hook = hookPage(page);
  await hook.open(made.id);
  await expect(hook.line("total: 1")).toBeVisible();
  const reconnecting = page.getByText("reconnecting", { exact: true });
  await expect(reconnecting).toHaveCount(0);

  await voice.whileAway(async () => {
    await server.kill();
    await expect(reconnecting).toBeVisible();
    await expect(hook.line("total: 1"), "what was there stays").toBeVisible();
    await server.startAgain();
    await server.write(made.writeKeys[0] ?? "", [{ name: "missed" }, { name: "missed too" }]);
    await folded(page, made, 3);
    await expect(reconnecting).toHaveCount(0);
  });
  await expect(hook.row(3)).toContainText("missed too");
  await expect(hook.line("total: 3")).toBeVisible();

  await hook.button("Send request").click();
  await expect(hook.line("total: 4")).toBeVisible();
});

test("what is sent while the server is away is said not to have arrived", async ({ page, server, voice }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const hook = hookPage(page);
  await hook.open(made.id);
  await expect(hook.code).toBeVisible();
  await voice.whileAway(async () => {
    await server.kill();
    await hook.button("Send request").click();
    await expect(hook.toast("The server does not answer")).toBeVisible();
    await server.startAgain();
    await expect(page.getByText("reconnecting", { exact: true })).toHaveCount(0);
  });
  await expect(page.getByText("No requests yet")).toBeVisible();
});

test("requests that come faster than anybody reads are all there in the end", async ({ page, server }) => {
  await beGuest(page);
  const made = await makeHook(page);
  const hook = hookPage(page);
  await hook.open(made.id);
  await expect(page.getByText("No requests yet")).toBeVisible();
  await server.write(
    made.writeKeys[0] ?? "",
    Array.from({ length: 2_000 }, (_, n) => ({ name: `n${n}` })),
  );
  await expect(hook.line("total: ")).toContainText("2000");
  await expect(hook.row(2_000)).toBeVisible();
  await expect(page.getByText("2,000 requests")).toBeVisible();
});
