// A host as its users write them: one action for each io method, and one for each trap. What a handler got is its
// result. Orders come line by line over stdin, events go out line by line as JSON.
import { createInterface } from "node:readline";
import sdk from "@interval/sdk";

const { Interval, Action, Page, Layout, IOError } = sdk;
const say = event => process.stdout.write(JSON.stringify(event) + "\n");
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));
const people = Array.from({ length: 45 }, (_, id) => ({ id, name: `Person ${id}`, born: new Date(id * 86_400_000) }));
const many = Array.from({ length: 10_000 }, (_, id) => ({ id, name: `Row ${id}`, born: new Date(id * 86_400_000) }));

const actions = {
  patient: new Action({
    backgroundable: true,
    handler: async io => [await io.input.text("First"), await io.input.text("Second")],
  }),
  // input.*
  text: async io => io.input.text("Name", { helpText: "first and last", minLength: 2, maxLength: 9 }),
  email: async io => io.input.email("Email"),
  number: async io => io.input.number("Age", { min: 1, max: 9 }),
  slider: async io => io.input.slider("Volume", { min: 0, max: 10 }),
  boolean: async io => io.input.boolean("Sure?"),
  changing: async io => io.input.text(`Word ${process.env.WORD ?? "one"}`),
  url: async io => {
    const url = await io.input.url("Site");
    return { isUrl: url instanceof URL, host: url.host };
  },
  rich: async io => io.input.richText("Body"),
  date: async io => {
    const min = { year: 2020, month: 1, day: 1 };
    const { jsDate, ...date } = await io.input.date("Day", { min, max: { ...min, year: 2030 } });
    return { ...date, isDate: jsDate instanceof Date };
  },
  time: async io => io.input.time("Hour", { min: { hour: 6, minute: 0 }, max: { hour: 20, minute: 0 } }),
  datetime: async io => {
    const min = { year: 2020, month: 1, day: 1, hour: 0, minute: 0 };
    const { jsDate, ...moment } = await io.input.datetime("Moment", { min });
    return { ...moment, isDate: jsDate instanceof Date };
  },
  file: async io => {
    const file = await io.input.file("Receipt", { allowedExtensions: [".txt"] });
    return { name: file.name, type: file.type, size: file.size, text: await file.text() };
  },
  // select.*, search
  single: async io => io.select.single("Pick", { options: ["a", { label: "Bee", value: "b", extra: 1 }] }),
  multiple: async io => io.select.multiple("Pick some", { options: ["a", "b", "c"], minSelections: 1, maxSelections: 2 }),
  dates: async io => {
    const chosen = await io.select.single("When", { options: [{ label: "Then", value: new Date(5) }] });
    return { isDate: chosen.value instanceof Date };
  },
  table: async io => io.select.table("People", { data: people, minSelections: 1, maxSelections: 2 }),
  keyless: async io =>
    io.select.table("Keyless", { data: people.slice(0, 2), columns: [{ label: "Twice", renderCell: row => row.id * 2 }] }),
  search: async io =>
    io.search("Who", {
      onSearch: async query => people.filter(person => person.name.endsWith(query)),
      renderResult: person => ({ label: person.name, description: `no. ${person.id}` }),
    }),
  search_many: async io => {
    const one = io.search("Who", {
      initialResults: people.slice(0, 5),
      onSearch: async query => people.filter(person => person.name.endsWith(query)),
      renderResult: person => person.name,
    });
    const found = await one.multiple({ defaultValue: [people[3]] });
    return { found: found.map(person => person.name).join(" and ") };
  },
  // confirm, spreadsheet
  confirm: async io => io.confirm("Really?", { helpText: "for good" }),
  confirm_validate: async io => io.confirm("Really?").validate(isSure => (isSure ? undefined : "It has to be.")),
  identity: async io => io.confirmIdentity("You?"),
  sheet: async io => io.experimental.spreadsheet("Rows", { columns: { name: "string", age: "number?" } }),
  // display.*
  displays: async io => {
    await io.display.heading("Head", { level: 2 });
    await io.display.markdown("**bold**");
    await io.display.html("Html", { html: "<b>b</b><script>1</script>" });
    await io.display.code("Code", { code: "1 + 1", language: "javascript" });
    await io.display.image("Image", { url: "https://example.com/a.png" });
    await io.display.video("Video", { url: "https://example.com/a.mp4" });
    await io.display.link("Link", { url: "https://example.com" });
    await io.display.object("Object", { data: { set: new Set([1]), map: new Map([["a", 1n]]), at: new Date(0) } });
    await io.display.metadata("Meta", { layout: "card", data: [{ label: "One", value: 1 }] });
    await io.display.table("Table", { data: people });
    await io.display.grid("Grid", { data: people.slice(0, 3), renderItem: person => ({ label: person.name }) });
    return io.input.text("After all");
  },
  async_table: async io => {
    const getData = async ({ offset, pageSize }) => ({ data: people.slice(offset, offset + pageSize), totalRecords: 45 });
    await io.display.table("Pages", { getData, defaultPageSize: 10 });
    return io.input.text("Seen");
  },
  many: async io => {
    await io.display.table("Many", { data: many });
    return io.input.text("Seen");
  },
  many_fetched: async io => {
    const getData = async ({ queryTerm = "", sortColumn, sortDirection, offset, pageSize }) => {
      if (queryTerm.startsWith("slow")) await sleep(3_000);
      const found = many.filter(row => row.name.includes(queryTerm.replace("slow ", "")));
      if (sortColumn && sortDirection === "desc") found.reverse();
      return { data: found.slice(offset, offset + pageSize), totalRecords: found.length };
    };
    await io.display.table("Many", { getData });
    return io.input.text("Seen");
  },
  many_chosen: async io => {
    const chosen = await io.select.table("Many", { data: many });
    return { count: chosen.length, first: chosen[0]?.name, last: chosen.at(-1)?.name };
  },
  table_stays: async io => {
    await io.display.table("Stays", { data: people, defaultPageSize: 10 });
    return "done";
  },
  display_choice: async io => io.display.markdown("Read this").withChoices(["Go", { label: "Stop", value: "stop" }]),
  metadata_late: async io => {
    await io.display.metadata("Late", {
      data: [
        { label: "Good", value: sleep(50).then(() => 7) },
        { label: "Bad", value: sleep(60).then(() => Promise.reject(new Error("no"))) },
      ],
    });
    return io.input.text("After");
  },
  video: async io => {
    const megabytes = Number(process.env.VIDEO_MB ?? "8");
    await io.display.video("Big", { buffer: Buffer.alloc(megabytes << 20, 7) });
    return io.input.text("Seen");
  },
  // groups and modifiers
  group: async io => {
    const [name, age, day] = await io.group([
      io.input.text("Name"),
      io.input.number("Age", { min: 0 }).optional(),
      io.input.date("When", { defaultValue: { year: 2020, month: 1, day: 2 } }),
    ]);
    return { name, ageIs: typeof age, year: day.year };
  },
  group_button: async io => {
    const continueButton = { label: "Send it off", theme: "danger" };
    const [name] = await io.group([io.input.text("Name")], { continueButton });
    return name;
  },
  group_named: async io => io.group({ name: io.input.text("Name"), sure: io.input.boolean("Sure") }),
  group_validate: async io =>
    io
      .group([io.input.text("Name"), io.input.number("Age")])
      .validate(([name]) => (name === "bad" ? "not that one" : undefined))
      .withChoices(["Go", { label: "Stop", value: "stop", theme: "danger" }]),
  validate: async io => io.input.text("Even").validate(text => (text.length % 2 ? "one more letter" : undefined)),
  optional: async io => ({ type: typeof (await io.input.number("Age", { min: 1 }).optional()) }),
  not_optional: async io => io.input.text("Name").optional(false),
  optional_validate: async io => {
    const value = await io.input.text("Maybe").optional().validate(text => (text === "no" ? "not no" : undefined));
    return { type: typeof value };
  },
  choices: async io => {
    const stop = { label: "Stop", value: "stop", theme: "danger" };
    const { choice, returnValue } = await io.input.text("Word").withChoices(["Go", stop]);
    return { choice, word: returnValue };
  },
  choices_validate: async io =>
    io.input
      .text("Word")
      .withChoices(["Go", "Stop"])
      .validate(({ choice, returnValue }) => (choice === "Stop" ? `not ${returnValue}` : undefined)),
  files: async io => {
    const files = await io.input.file("Some").multiple().optional();
    return { count: files?.length ?? "none" };
  },
  // ctx.*
  context: async (io, ctx) => {
    const { user, params, environment, organization, action } = ctx;
    return { user, params, isDate: params.when instanceof Date, environment, organization, action };
  },
  ...Object.fromEntries(
    ["user", "params", "environment", "organization", "action"].map(name => [`ctx_${name}`, async (_io, ctx) => ctx[name]]),
  ),
  loading_start: async (io, ctx) => {
    await ctx.loading.start("Counting sheep");
    await sleep(60_000);
  },
  loading_update: async (io, ctx) => {
    await ctx.loading.start({ label: "Mapping", itemsInQueue: 2 });
    await sleep(300);
    await ctx.loading.update({ label: "Reducing", description: "what was mapped" });
    await sleep(60_000);
  },
  work: async (io, ctx) => {
    await ctx.log("first", { a: 1 });
    await ctx.loading.start({ label: "Working", itemsInQueue: 2 });
    await ctx.loading.completeOne();
    await sleep(300);
    await ctx.log("second");
    return io.input.text("More?");
  },
  long_work: async (io, ctx) => {
    await ctx.loading.start({ label: "Working", itemsInQueue: 2 });
    await ctx.loading.completeOne();
    await sleep(60_000);
  },
  redirect: async (io, ctx) => {
    await ctx.redirect({ route: "text", params: { a: 1 } });
  },
  notify: async (io, ctx) => {
    const delivery = [{ to: process.env.NOTIFY_TO ?? "a@example.com", method: "EMAIL" }];
    await ctx.notify({ title: "Refund", message: "$500 went back", delivery, idempotencyKey: "refund-1" });
    await ctx.notify({ title: "Refund", message: "$500 went back", delivery, idempotencyKey: "refund-1" });
    return "told";
  },
  fails: async () => {
    throw new Error("kaput", { cause: new TypeError("inner") });
  },
  bad_props: async io => io.input.text("Bad", { minLength: "three" }),
  cancel_seen: async io => {
    try {
      await io.input.text("Leave me");
    } catch (error) {
      say({ event: "caught", kind: error instanceof IOError ? error.kind : String(error) });
      throw error;
    }
  },
  ten: async (io, ctx) => {
    const answers = [];
    for (let step = 0; step < 10; step++) {
      answers.push(await io.input.number(`Step ${step}`));
      await ctx.log(`step ${step}`);
    }
    return answers;
  },
  slow: async io => {
    const name = await io.input.text("Before");
    say({ event: "working" });
    await sleep(2_000);
    say({ event: "worked" });
    return `${name} ${await io.input.text("Behind")}`;
  },
  shows_late: async io => {
    const name = await io.input.text("Before");
    say({ event: "working" });
    await sleep(500);
    await io.display.heading(`Hello ${name}`);
    return `${name} ${await io.input.text("Behind")}`;
  },
  returns_while_away: async io => {
    await io.input.text("Go");
    say({ event: "working" });
    await sleep(1_500);
    return "nobody hears this";
  },
  "not a slug": async () => "never",
};

const pages = {
  users: new Page({
    name: "Users",
    description: "Everybody",
    handler: async display => {
      const getData = async ({ offset, pageSize }) => ({ data: people.slice(offset, offset + pageSize), totalRecords: 45 });
      return new Layout({ title: sleep(50).then(() => "All users"), children: [display.table("All", { getData })] });
    },
    routes: {
      create: new Action({ name: "Create", backgroundable: true, handler: async io => io.input.text("New name") }),
    },
  }),
  about: new Page({
    name: "About",
    handler: async (display, ctx) => {
      const { page, params, environment, organization, user } = ctx;
      const facts = { page: page.slug, x: params.x, environment, organization: organization.slug, role: user.role };
      const data = Object.entries(facts).map(([label, value]) => ({ label, value }));
      return new Layout({
        title: "About this page",
        description: `At ${page.slug}`,
        menuItems: [{ label: "Say a word", route: "text" }],
        children: [display.metadata("Facts", { data })],
      });
    },
  }),
  moved: new Page({
    name: "Moved",
    handler: async (_display, ctx) => {
      await ctx.redirect({ route: "text" });
    },
  }),
  broken: new Page({
    name: "Broken",
    handler: async () => {
      throw new TypeError("no page today");
    },
  }),
  heading: new Page({ name: "A heading", routes: { hidden: new Action({ unlisted: true, handler: async () => "seen" }) } }),
};

const interval = new Interval({
  apiKey: process.env.KEY,
  endpoint: process.env.ENDPOINT,
  routes: { ...actions, ...pages },
  logLevel: "quiet",
  retryIntervalMs: Number(process.env.RETRY_MS ?? "300"),
  sendTimeoutMs: Number(process.env.SEND_TIMEOUT_MS ?? "5000"),
  closeUnresponsiveConnectionTimeoutMs: 10_000,
  completeShutdownDelayMs: 100,
});

const orders = {
  add: () => interval.routes.add("added", async io => io.input.text("Added")),
  remove: () => interval.routes.remove("added"),
  close: async () => {
    await interval.safelyClose();
    say({ event: "closed" });
  },
  ping: async () => say({ event: "pong", is: await interval.ping() }),
  enqueue: async ({ slug, assignee, params }) => {
    const dated = params?.when ? { ...params, when: new Date(params.when) } : params;
    say({ event: "enqueued", ...(await interval.enqueue(slug, { assignee, params: dated })) });
  },
  dequeue: async ({ id }) => {
    const { params, ...rest } = await interval.dequeue(id);
    say({ event: "dequeued", ...rest, params, isDate: params?.when instanceof Date });
  },
  notify: async config => {
    await interval.notify(config);
    say({ event: "notified" });
  },
  exit: () => process.exit(0),
};

createInterface({ input: process.stdin }).on("line", async line => {
  const { order, ...config } = JSON.parse(line);
  try {
    await orders[order](config);
  } catch (error) {
    say({ event: "failed", order, message: error.message });
  }
});

for (const level of ["log", "info", "warn", "error", "debug"]) {
  console[level] = (...words) => say({ event: "printed", level, text: words.map(String).join(" ") });
}
try {
  await interval.listen();
  say({ event: "listening", organization: interval.client?.organization, environment: interval.client?.environment });
} catch (error) {
  say({ event: "refused", message: error.message });
}
