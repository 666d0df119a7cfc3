/** Every method of `io`, asked by a program with @interval/sdk, answered by a person in a browser. */

import AxeBuilder from "@axe-core/playwright";
import { refusal } from "./journey.ts";
import { expect, test } from "./run.ts";

test("io.input.text: too short is said, mended, sent with Enter", async ({ page, run, voice }) => {
  await run.start("text");
  await expect(page).toHaveTitle("text · Everfold");
  await expect(run.field("Name")).toBeFocused();
  await expect(page.getByText("first and last")).toBeVisible();
  await voice.expecting([refusal(422)], async () => {
    await run.goOn.click();
    await expect(run.fieldError).toContainText("required");
    await run.field("Name").fill("A");
    await expect(run.fieldError).toHaveCount(0);
    await page.keyboard.press("Enter");
    await expect(run.fieldError).toContainText("between 2 and 9");
    await expect(run.field("Name")).toBeFocused();
  });
  await run.field("Name").fill("Ada");
  await page.keyboard.press("Enter");
  await run.ends("Completed");
  await expect(run.result).toHaveText("Ada");
});

test("io.input.email", async ({ run, voice }) => {
  await run.start("email");
  await voice.expecting([refusal(422)], async () => {
    await run.field("Email").fill("nobody");
    await run.goOn.click();
    await expect(run.fieldError).toBeVisible();
  });
  await run.field("Email").fill("ada@example.com");
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("ada@example.com");
});

test("io.input.number: its bounds are said", async ({ run, voice }) => {
  await run.start("number");
  await voice.expecting([refusal(422)], async () => {
    await run.field("Age").fill("10");
    await run.goOn.click();
    await expect(run.fieldError).toContainText("between 1 and 9");
  });
  await run.field("Age").fill("7");
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("7");
});

test("io.input.slider", async ({ run }) => {
  await run.start("slider");
  await run.field("Volume").fill("4");
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("4");
});

test("io.input.boolean", async ({ run }) => {
  await run.start("boolean");
  await run.field("Sure?").check();
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("true");
});

test("io.input.url", async ({ run, voice }) => {
  await run.start("url");
  await voice.expecting([refusal(422)], async () => {
    await run.field("Site").fill("not a url");
    await run.goOn.click();
    await expect(run.fieldError).toContainText("valid URL");
  });
  await run.field("Site").fill("https://example.com/path");
  await run.goOn.click();
  await run.gave({ isUrl: "true", host: "example.com" });
});

test("io.input.richText", async ({ page, run }) => {
  await run.start("rich");
  await run.field("Body").click();
  await page.keyboard.type("plain ");
  await page.getByRole("button", { name: "Bold" }).click();
  await page.keyboard.type("bold");
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toHaveText(/plain\s*(&nbsp;)?<(b|strong)>bold<\/(b|strong)>/);
});

test("io.input.date, time and datetime", async ({ run }) => {
  await run.start("date");
  await run.field("Day").fill("2026-11-22");
  await run.goOn.click();
  await run.gave({ year: "2026", month: "11", day: "22", isDate: "true" });
  await run.start("time");
  await run.field("Hour").fill("09:30");
  await run.goOn.click();
  await run.gave({ hour: "9", minute: "30" });
  await run.start("datetime");
  await run.field("Moment").fill("2026-11-22T09:30");
  await run.goOn.click();
  await run.gave({ year: "2026", hour: "9", minute: "30", isDate: "true" });
});

test("io.input.file: what was chosen reaches the program", async ({ page, run }) => {
  await run.start("file");
  await run.field("Receipt").setInputFiles({ name: "r.txt", mimeType: "text/plain", buffer: Buffer.from("twelve") });
  await expect(page.getByRole("link", { name: "r.txt" })).toBeVisible();
  await run.goOn.click();
  await run.gave({ name: "r.txt", size: "6", text: "twelve" });
});

test("io.select.single and io.select.multiple", async ({ page, run, voice }) => {
  await run.start("single");
  await run.field("Bee").check();
  await run.goOn.click();
  await run.gave({ label: "Bee", value: "b", extra: "1" });
  await run.start("multiple");
  await voice.expecting([refusal(422)], async () => {
    for (const name of ["a", "b", "c"]) await run.field(name).check();
    await run.goOn.click();
    await expect(run.fieldError).toBeVisible();
  });
  await run.field("b").uncheck();
  await run.goOn.click();
  await run.ends("Completed");
  await expect(page.getByText("a, c")).toBeVisible();
  await run.start("dates");
  await run.page.getByRole("radio").check();
  await run.goOn.click();
  await run.gave({ isDate: "true" });
});

test("io.select.table: pages, sorts, filters, and holds its bounds", async ({ page, run, voice }) => {
  await run.start("table");
  const people = run.table("People");
  await expect(page.getByText("1 - 20 of 45")).toBeVisible();
  await run.button("Next page").click();
  await expect(page.getByText("21 - 40 of 45")).toBeVisible();
  await expect(people.getByText("Person 20", { exact: true })).toBeVisible();
  await run.button("Previous page").click();
  await people.getByRole("button", { name: "id" }).click();
  await people.getByRole("button", { name: "id" }).click();
  await expect(people.getByRole("row").nth(1)).toContainText("Person 44");
  await run.field("Filter").fill("nobody");
  await expect(page.getByText("No records found matching 'nobody'")).toBeVisible();
  await run.button("Clear filter").click();
  await voice.expecting([refusal(422)], async () => {
    await run.goOn.click();
    await expect(run.fieldError).toContainText("between 1 and 2");
  });
  await people.getByRole("row", { name: /Person 43/ }).click();
  await people
    .getByRole("row", { name: /Person 42/ })
    .getByRole("checkbox")
    .check();
  await expect(page.getByText("2 selected")).toBeVisible();
  await run.goOn.click();
  await run.ends("Completed");
  await expect(page.getByText("Person 42, Person 43")).toBeVisible();
});

test("io.search", async ({ page, run }) => {
  await run.start("search");
  await run.field("Who").fill("zzz");
  await expect(page.getByText("No results found")).toBeVisible();
  await run.field("Who").fill("44");
  await page.locator("[data-pw-search-result]", { hasText: "Person 44" }).click();
  await expect(run.field("Who")).toHaveValue("Person 44");
  await run.goOn.click();
  await run.gave({ id: "44", name: "Person 44" });
});

test("io.confirm: a dialog that says yes or no", async ({ page, run }) => {
  await run.start("confirm");
  const dialog = page.getByRole("dialog", { name: "Really?" });
  await expect(dialog).toContainText("for good");
  await dialog.getByRole("button", { name: "Confirm" }).click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("true");
  await run.start("confirm");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("false");
});

test("io.confirmIdentity: a guest can only cancel", async ({ page, run }) => {
  await run.start("identity");
  const dialog = page.getByRole("dialog", { name: "You?" });
  await expect(dialog.getByRole("button", { name: "Confirm" })).toHaveCount(0);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("false");
});

test("io.experimental.spreadsheet", async ({ run }) => {
  await run.start("sheet");
  await run.field("name, row 1").fill("Tea");
  await run.field("age, row 1").fill("3");
  await run.button("Add row").click();
  await run.field("name, row 2").fill("Jam");
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toContainText("Jam");
});

test("io.display.*: each is shown, nothing runs, nothing is loaded from elsewhere unasked", async ({ page, run }) => {
  const elsewhere: string[] = [];
  page.on("request", (request) => {
    if (request.url().includes("example.com")) elsewhere.push(request.url());
  });
  await run.start("displays");
  await expect(run.field("After all")).toBeVisible();
  await expect(page.getByRole("heading", { name: "Head" })).toBeVisible();
  await expect(page.locator("strong", { hasText: "bold" })).toBeVisible();
  await expect(page.locator("main script")).toHaveCount(0);
  await expect(page.getByText("1 + 1")).toBeVisible();
  await expect(run.button("Load images from example.com")).toBeVisible();
  await expect(run.button("Load video from example.com")).toBeVisible();
  const link = page.getByRole("link", { name: "Link" });
  await expect(link).toHaveAttribute("rel", /noopener/);
  await expect(page.getByRole("tree", { name: "Object" })).toContainText("1n");
  await expect(page.getByText("1 - 20 of 45")).toBeVisible();
  await expect(page.getByText("1 - 3 of 3")).toBeVisible();
  expect(elsewhere).toEqual([]);
});

test("io.display.table with rows that are fetched", async ({ page, run }) => {
  await run.start("async_table");
  await expect(page.getByText("1 - 10 of 45")).toBeVisible();
  await run.button("Next page").click();
  await expect(page.getByText("11 - 20 of 45")).toBeVisible();
  await expect(run.table("Pages").getByText("Person 10", { exact: true })).toBeVisible();
});

// The server tells of it to who looks on, and forgets it when nobody does: here it comes before the page is there.
test("io.display.metadata: promised values come later", async ({ page, run }) => {
  await run.start("metadata_late");
  await expect(page.getByRole("definition").filter({ hasText: "7" })).toBeVisible();
});

test("io.group, .optional, .withChoices: one button each", async ({ run }) => {
  await run.start("group");
  await run.field("Name").fill("Ada");
  await run.goOn.click();
  await run.gave({ name: "Ada", ageIs: "undefined", year: "2020" });
  await run.start("display_choice");
  await expect(run.goOn).toHaveText(["Go", "Stop"]);
  await run.button("Stop").click();
  await run.ends("Completed");
});

test(".validate: the program's own words, at the field and at the form; what was filled in stays", async ({ run }) => {
  await run.start("validate");
  await run.field("Even").fill("odd");
  await run.goOn.click();
  await expect(run.fieldError).toHaveText("one more letter");
  await expect(run.field("Even")).toHaveValue("odd");
  await run.field("Even").fill("even");
  await run.goOn.click();
  await run.ends("Completed");
  await run.start("group_validate");
  await run.field("Name").fill("bad");
  await run.field("Age").fill("3");
  await run.button("Go").click();
  await expect(run.formError).toHaveText("not that one");
  await expect(run.field("Name")).toHaveValue("bad");
  await run.field("Name").fill("good");
  await run.button("Go").click();
  await run.ends("Completed");
});

test(".optional().validate(): left empty is no wrong answer", async ({ run }) => {
  await run.start("optional_validate");
  await run.goOn.click();
  await run.gave({ type: "undefined" });
});

test("ctx.log", async ({ page, run }) => {
  await run.start("work");
  await run.field("More?").fill("no");
  await run.button("Logs").click();
  await expect(page.getByRole("list", { name: "Log lines" })).toContainText("second");
});

test("ctx.redirect: the page goes there, and the way back leads to the run", async ({ page, run }) => {
  await run.start("redirect");
  await expect(run.field("Name")).toBeVisible();
  await page.goBack();
  await run.ends("Redirected");
});

test("an action that throws says so", async ({ run }) => {
  await run.start("fails");
  await run.ends("Error");
  await expect(run.result).toContainText("kaput");
});

test("Cancel run", async ({ run }) => {
  await run.start("text");
  await run.button("Cancel run").click();
  await run.ends("Cancelled");
});

test("a draft survives a reload, and is gone when it was answered", async ({ page, run }) => {
  await run.start("group_named");
  await run.field("Name").fill("Ada");
  await run.field("Sure").check();
  await page.reload();
  await expect(run.field("Name")).toHaveValue("Ada");
  await expect(run.field("Sure")).toBeChecked();
  await page.keyboard.press("ControlOrMeta+Enter");
  await run.gave({ name: "Ada", sure: "true" });
  await expect
    .poll(() => page.evaluate(() => Object.keys(localStorage).filter((name) => name.startsWith("everfold-draft:"))))
    .toEqual([]);
});

test("two tabs: the first answer wins, and the other is told", async ({ page, run, context }) => {
  await run.start("ten");
  const other = await context.newPage();
  await other.goto(page.url());
  await other.getByLabel("Step 0").fill("1");
  await run.field("Step 0").fill("2");
  await other.locator('button[data-pw="continue-button"]').click();
  await expect(page.getByText("answered elsewhere")).toBeVisible();
  await expect(run.field("Step 1")).toBeVisible();
  await expect(other.getByLabel("Step 1")).toBeVisible();
  await expect(other.getByText("answered elsewhere")).toHaveCount(0);
});

test("a server that is killed at each question of ten, and started again: the page goes on", async ({
  server,
  page,
  run,
  voice,
}) => {
  test.setTimeout(180_000);
  await run.start("ten");
  await voice.whileAway(async () => {
    for (let step = 0; step < 10; step++) {
      await expect(run.field(`Step ${step}`)).toBeVisible();
      await server.kill();
      await expect(page.getByText("reconnecting")).toBeVisible();
      await server.startAgain();
      await expect(page.getByText("reconnecting")).toHaveCount(0);
      await expect(page.getByText("offline", { exact: true })).toHaveCount(0);
      await run.field(`Step ${step}`).fill(String(step));
      await run.goOn.click();
    }
    await run.ends("Completed");
  });
});

test("a host that was killed while it waited: offline is said, an answer is kept", async ({ page, run, host }) => {
  await run.start("ten");
  await run.field("Step 0").fill("0");
  await run.goOn.click();
  await expect(run.field("Step 1")).toBeVisible();
  await host.kill();
  await expect(page.getByText("offline", { exact: true })).toBeVisible();
  await host.startAgain();
  await run.button("Resume").click();
  await run.field("Step 1").fill("1");
  await run.goOn.click();
  await expect(run.field("Step 2")).toBeVisible();
});

test("axe-core finds no violation in a run, light or dark, and none is wider than a phone", async ({ page, run }) => {
  test.setTimeout(100_000);
  await page.setViewportSize({ width: 375, height: 800 });
  const found: string[] = [];
  for (const slug of [
    "displays",
    "table",
    "group",
    "multiple",
    "search",
    "rich",
    "file",
    "sheet",
    "fails",
    "confirm",
  ]) {
    await run.start(slug);
    await expect(page.getByText("waiting for you").or(run.resultType)).toBeVisible();
    await expect(run.goOn.first().or(page.getByRole("dialog")).or(run.resultType)).toBeVisible();
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      const { violations } = await new AxeBuilder({ page }).analyze();
      for (const { id, nodes } of violations) found.push(`${slug} ${colorScheme} ${id}: ${nodes[0]?.html}`);
    }
    const isWider = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    if (isWider) found.push(`${slug} is wider than the window`);
  }
  expect(found).toEqual([]);
});
