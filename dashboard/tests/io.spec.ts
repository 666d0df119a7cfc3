/** Every method of `io` and every modifier, asked by a program with @interval/sdk: answered by a person in a browser, and
 * refused with words where an answer will not do. */

import { readFileSync } from "node:fs";
import { makeHook } from "./hook.ts";
import { expect, type RunPage, together as test } from "./run.ts";

test("io.input.text: too short is said, mended, sent with Enter", async ({ page, run, refused }) => {
  await run.start("text");
  await expect(page).toHaveTitle("text · Everfold");
  await expect(run.field("Name")).toBeFocused();
  await expect(page.getByText("first and last")).toBeVisible();
  await refused("required");
  await run.field("Name").fill("A");
  await expect(run.fieldError).toHaveCount(0);
  await refused("between 2 and 9");
  await expect(run.field("Name")).toBeFocused();
  await run.field("Name").fill("Ada");
  await page.keyboard.press("Enter");
  await run.ends("Completed");
  await expect(run.result).toHaveText("Ada");
});

test("io.input.email: what is no address is said to be none", async ({ run, refused }) => {
  await run.start("email");
  await run.field("Email").fill("nobody");
  await refused("valid e-mail address");
  await run.field("Email").fill("ada@example.com");
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("ada@example.com");
});

test("io.input.number: its bounds are said", async ({ run, refused }) => {
  await run.start("number");
  await run.field("Age").fill("10");
  await refused("between 1 and 9");
  await run.field("Age").fill("7");
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("7");
});

test("io.input.slider: what lies beyond its ends cannot be given in another way either", async ({ run }) => {
  await run.start("slider");
  expect(await run.refusalOf({ values: [11] })).toContain("between 0 and 10");
  await run.field("Volume").fill("4");
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("4");
});

test("io.input.boolean: yes or no, and nothing else", async ({ run }) => {
  await run.start("boolean");
  expect(await run.refusalOf({ values: ["perhaps"] })).toContain("true or false");
  await run.field("Sure?").check();
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("true");
});

test("io.input.url: becomes a URL", async ({ run, refused }) => {
  await run.start("url");
  await run.field("Site").fill("not a url");
  await refused("valid URL");
  await run.field("Site").fill("https://example.com/path");
  await run.goOn.click();
  await run.gave({ isUrl: "true", host: "example.com" });
});

test("io.input.richText: what was made bold is bold", async ({ page, run, refused }) => {
  await run.start("rich");
  await refused("required");
  await run.field("Body").click();
  await page.keyboard.type("plain ");
  await page.getByRole("button", { name: "Bold" }).click();
  await page.keyboard.type("bold");
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toHaveText(/plain\s*(&nbsp;)?<(b|strong)>bold<\/(b|strong)>/);
});

test("io.input.date", async ({ run, refused }) => {
  await run.start("date");
  await refused("required");
  await run.field("Day").fill("2019-12-31");
  await refused("between 2020-01-01 and 2030-01-01");
  await run.field("Day").fill("2026-11-22");
  await run.goOn.click();
  await run.gave({ year: "2026", month: "11", day: "22", isDate: "true" });
});

test("io.input.time", async ({ run, refused }) => {
  await run.start("time");
  await refused("required");
  await run.field("Hour").fill("05:59");
  await refused("between 06:00 and 20:00");
  await run.field("Hour").fill("09:30");
  await run.goOn.click();
  await run.gave({ hour: "9", minute: "30" });
});

test("io.input.datetime", async ({ run, refused }) => {
  await run.start("datetime");
  await refused("required");
  await run.field("Moment").fill("2019-12-31T23:59");
  await refused("at least 2020-01-01 00:00");
  await run.field("Moment").fill("2026-11-22T09:30");
  await run.goOn.click();
  await run.gave({ year: "2026", hour: "9", minute: "30", isDate: "true" });
});

test("io.input.file: what was chosen reaches the program", async ({ page, run, refused }) => {
  await run.start("file");
  await refused("required");
  const file = (name: string) => ({ name, mimeType: "text/plain", buffer: Buffer.from("twelve") });
  await run.field("Receipt").setInputFiles(file("r.pdf"));
  await expect(page.getByRole("link", { name: "r.pdf" })).toBeVisible();
  await refused("must be one of: .txt");
  await run.field("Receipt").setInputFiles(file("r.txt"));
  await expect(page.getByRole("link", { name: "r.txt" })).toBeVisible();
  await run.goOn.click();
  await run.gave({ name: "r.txt", size: "6", text: "twelve" });
});

test("io.select.single: gives the option itself", async ({ run, refused }) => {
  await run.start("single");
  await refused("required");
  await run.field("Bee").check();
  await run.goOn.click();
  await run.gave({ label: "Bee", value: "b", extra: "1" });
});

test("io.select.single: an option may be a date", async ({ page, run }) => {
  await run.start("dates");
  await page.getByRole("radio").check();
  await run.goOn.click();
  await run.gave({ isDate: "true" });
});

test("io.select.multiple: holds its bounds", async ({ page, run, refused }) => {
  await run.start("multiple");
  for (const name of ["a", "b", "c"]) await run.field(name).check();
  await refused("between 1 and 2");
  await run.field("b").uncheck();
  await run.goOn.click();
  await run.ends("Completed");
  await expect(page.getByText("a, c")).toBeVisible();
});

test("io.select.table: pages, sorts, filters, and holds its bounds", async ({ page, run, refused }) => {
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
  await refused("between 1 and 2");
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

test("Download CSV: every row of every page, as filtered, with nothing that a spreadsheet would run", async ({
  page,
  run,
}) => {
  const code = `const goods = Array.from({ length: 30 }, (_, n) => ({ sku: "T-" + n, what: "tea no. " + n, price: n / 2 }));
goods[0].what = 'so-called "tea", loose';
goods[1].what = "=1+1";
goods[2].what = "two\\nlines";
goods[3].price = -4.5;
export const actions = {
  goods: async (io) => {
    await io.display.table("Goods in stock", { data: goods });
    return io.input.text("Seen");
  },
  none: async (io) => {
    await io.display.table("Nothing", { data: [] });
    return io.input.text("Seen");
  },
};`;
  await makeHook(page, { name: "goods", code });
  await run.start("goods");
  await expect(page.getByText("1 - 20 of 30")).toBeVisible();
  const save = async () => {
    const begun = page.waitForEvent("download");
    await run.button("Download CSV").click();
    const file = await begun;
    expect(file.suggestedFilename()).toBe("Goods-in-stock.csv");
    return readFileSync(await file.path(), "utf8").split("\r\n");
  };
  const lines = await save();
  expect(lines.slice(0, 5)).toEqual([
    "sku,what,price",
    'T-0,"so-called ""tea"", loose",0',
    "T-1,'=1+1,0.5",
    'T-2,"two\nlines",1',
    "T-3,tea no. 3,-4.5",
  ]);
  expect(lines).toHaveLength(32);
  expect(lines.slice(-2)).toEqual(["T-29,tea no. 29,14.5", ""]);
  await run.field("Filter").fill("no. 29");
  await expect(page.getByText("1 - 1 of 1")).toBeVisible();
  expect(await save()).toEqual(["sku,what,price", "T-29,tea no. 29,14.5", ""]);

  await run.start("none");
  await expect(page.getByText("There are no items")).toBeVisible();
});

test("Select none takes back what was chosen on all pages", async ({ page, run }) => {
  await run.start("many_chosen");
  await expect(run.button("Select none")).toBeDisabled();
  await run.button("Select all").click();
  await expect(page.getByText("10000 selected")).toBeVisible();
  await run.button("Next page").click();
  await run.button("Select none").click();
  await expect(page.getByText("0 selected", { exact: true })).toBeVisible();
  await expect(run.table("Many").getByRole("checkbox", { checked: true })).toHaveCount(0);
  await run.goOn.click();
  await run.gave({ count: "0" });
});

test("io.search: what the program finds can be chosen", async ({ page, run, refused }) => {
  await run.start("search");
  await refused("required");
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
  expect(await run.refusalOf({ values: ["perhaps"] })).toContain("true or false");
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
  expect(await run.refusalOf({ values: [true] })).toContain("Sign in by a link");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("false");
});

test("io.experimental.spreadsheet: a cell that is of another kind is named", async ({ run, refused }) => {
  await run.start("sheet");
  await run.field("name, row 1").fill("Tea");
  await run.field("age, row 1").fill("three");
  await refused("Row 1: age must be a number");
  await run.field("age, row 1").fill("3");
  await run.button("Add row").click();
  await run.field("name, row 2").fill("Jam");
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toContainText("Jam");
});

const DISPLAYS: Record<string, (run: RunPage) => Promise<void>> = {
  heading: ({ page }) => expect(page.getByRole("heading", { name: "Head" })).toBeVisible(),
  markdown: ({ page }) => expect(page.locator("strong", { hasText: "bold" })).toBeVisible(),
  html: async ({ page }) => {
    await expect(page.locator("main b", { hasText: /^b$/ })).toBeVisible();
    await expect(page.locator("main script")).toHaveCount(0);
  },
  code: ({ page }) => expect(page.getByText("1 + 1")).toBeVisible(),
  image: (run) => expect(run.button("Load images from example.com")).toBeVisible(),
  video: (run) => expect(run.button("Load video from example.com")).toBeVisible(),
  link: ({ page }) => expect(page.getByRole("link", { name: "Link" })).toHaveAttribute("rel", /noopener/),
  object: ({ page }) => expect(page.getByRole("tree", { name: "Object" })).toContainText("1n"),
  metadata: ({ page }) => expect(page.getByRole("definition").filter({ hasText: /^1$/ })).toBeVisible(),
  table: ({ page }) => expect(page.getByText("1 - 20 of 45")).toBeVisible(),
  grid: ({ page }) => expect(page.getByText("1 - 3 of 3")).toBeVisible(),
};

for (const [method, isShown] of Object.entries(DISPLAYS)) {
  test(`io.display.${method}: is shown, and loads nothing from elsewhere unasked`, async ({ page, run }) => {
    const elsewhere: string[] = [];
    page.on("request", (request) => {
      if (request.url().includes("example.com")) elsewhere.push(request.url());
    });
    await run.start("displays");
    await expect(run.field("After all")).toBeVisible();
    await isShown(run);
    expect(elsewhere).toEqual([]);
  });
}

test("io.display.table with getData: rows are fetched", async ({ page, run }) => {
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

test("io.group([…]): one form, one answer for each part", async ({ run, refused }) => {
  await run.start("group");
  await run.field("Age").fill("-1");
  await refused("required", "at least 0");
  await run.field("Name").fill("Ada");
  await run.field("Age").fill("36");
  await run.goOn.click();
  await run.gave({ name: "Ada", ageIs: "number", year: "2020" });
});

test("io.group({…}): answers by name", async ({ run, refused }) => {
  await run.start("group_named");
  await refused("required");
  await run.field("Name").fill("Ada");
  await run.field("Sure").check();
  await run.goOn.click();
  await run.gave({ name: "Ada", sure: "true" });
});

test("io.group with a continueButton: the button says so", async ({ run, refused }) => {
  await run.start("group_button");
  await expect(run.goOn).toHaveText(["Send it off"]);
  await refused("required");
  await run.field("Name").fill("Ada");
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("Ada");
});

test(".optional: left empty it is undefined, filled in it is checked", async ({ page, run, refused }) => {
  await run.start("optional");
  await expect(page.getByText("optional, at least 1")).toBeVisible();
  await run.field("Age").fill("0");
  await refused("at least 1");
  await run.field("Age").fill("");
  await run.goOn.click();
  await run.gave({ type: "undefined" });
});

test(".optional(false): is as required as before", async ({ run, refused }) => {
  await run.start("not_optional");
  await refused("required");
  await run.field("Name").fill("Ada");
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("Ada");
});

test(".optional in a group: the others are asked for all the same", async ({ run, refused }) => {
  await run.start("group");
  await refused("required");
  await run.field("Name").fill("Ada");
  await run.goOn.click();
  await run.gave({ name: "Ada", ageIs: "undefined" });
});

test(".validate: the program's own words at the field; what was filled in stays", async ({ run }) => {
  await run.start("validate");
  await run.field("Even").fill("odd");
  await run.goOn.click();
  await expect(run.fieldError).toHaveText("one more letter");
  await expect(run.field("Even")).toHaveValue("odd");
  await run.field("Even").fill("even");
  await run.goOn.click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("even");
});

test(".validate of a group: the program's own words at the form; what was filled in stays", async ({ run }) => {
  await run.start("group_validate");
  await run.field("Name").fill("bad");
  await run.field("Age").fill("3");
  await run.button("Go").click();
  await expect(run.formError).toHaveText("not that one");
  await expect(run.field("Name")).toHaveValue("bad");
  await run.field("Name").fill("good");
  await run.button("Go").click();
  await run.ends("Completed");
  await expect(run.result).toContainText("good");
});

test(".validate of io.confirm: the dialog opens again and says why", async ({ page, run }) => {
  await run.start("confirm_validate");
  const dialog = page.getByRole("dialog", { name: "Really?" });
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(run.formError).toHaveText("It has to be.");
  await dialog.getByRole("button", { name: "Confirm" }).click();
  await run.ends("Completed");
  await expect(run.result).toHaveText("true");
});

test(".optional().validate: left empty is no wrong answer", async ({ run }) => {
  await run.start("optional_validate");
  await run.field("Maybe").fill("no");
  await run.goOn.click();
  await expect(run.fieldError).toHaveText("not no");
  await run.field("Maybe").fill("");
  await run.goOn.click();
  await run.gave({ type: "undefined" });
});

test(".withChoices: which button was pressed, and what was filled in", async ({ run, refused }) => {
  await run.start("choices");
  await expect(run.goOn).toHaveText(["Go", "Stop"]);
  await refused("required");
  expect(await run.refusalOf({ values: ["tea"], choice: "Wait" })).toContain("none of the choices: Go, stop");
  await run.field("Word").fill("tea");
  await run.button("Stop").click();
  await run.gave({ choice: "stop", word: "tea" });
});

test(".withChoices of a display: it waits for one", async ({ page, run }) => {
  await run.start("display_choice");
  await expect(page.getByText("Read this")).toBeVisible();
  await expect(run.goOn).toHaveText(["Go", "Stop"]);
  await run.button("Stop").click();
  await run.ends("Completed");
  await expect(run.result).toContainText("stop");
});

test(".withChoices of a group: one button each", async ({ run, refused }) => {
  await run.start("group_validate");
  await expect(run.goOn).toHaveText(["Go", "Stop"]);
  await refused("required", "required");
  await run.field("Name").fill("Ada");
  await run.field("Age").fill("36");
  await run.button("Stop").click();
  await run.ends("Completed");
  await expect(run.result).toContainText("stop");
});

test(".withChoices().validate: a choice may be refused", async ({ run }) => {
  await run.start("choices_validate");
  await run.field("Word").fill("tea");
  await run.button("Stop").click();
  await expect(run.formError).toHaveText("not tea");
  await run.button("Go").click();
  await run.gave({ choice: "Go", returnValue: "tea" });
});

test(".multiple of io.input.file: as many files as were chosen", async ({ page, run }) => {
  await run.start("files");
  const file = (name: string) => ({ name, mimeType: "text/plain", buffer: Buffer.from(name) });
  await run.field("Some").setInputFiles([file("one.txt"), file("two.txt")]);
  await expect(page.getByRole("link", { name: "two.txt" })).toBeVisible();
  await run.goOn.click();
  await run.gave({ count: "2" });
});

test(".multiple().optional: none is as good as some", async ({ run }) => {
  await run.start("files");
  await run.goOn.click();
  await run.gave({ count: "none" });
});

test(".multiple of io.search: begins with what the program chose, and all of it may be changed", async ({
  page,
  run,
  refused,
}) => {
  await run.start("search_many");
  const chosen = page.getByRole("list", { name: "Chosen" });
  await expect(chosen).toHaveText("Person 3");
  await run.button("Remove Person 3").click();
  await refused("required");
  for (const number of ["44", "12"]) {
    await run.field("Who").fill(number);
    await page.locator("[data-pw-search-result]", { hasText: `Person ${number}` }).click();
  }
  await expect(chosen.getByRole("listitem")).toHaveText(["Person 44", "Person 12"]);
  await run.goOn.click();
  await run.gave({ found: "Person 44 and Person 12" });
});
