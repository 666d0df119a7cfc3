/**
 * What an action is given: `io` asks and shows, `ctx` does everything else. Whatever is awaited of them is kept: a run
 * goes on where it stood, after a reload, a week, or a restart of the server.
 */

/** The actions of a hook by name; an object or a `Page` in it makes a path: `users/create`. */
interface HookActions {
  [name: string]: ActionHandler | ActionDefinition | Action | Page | HookActions;
}

type ActionHandler = (io: IO, ctx: ActionContext) => any;

interface ActionDefinition {
  /** How it is called in lists; its slug by default. */
  name?: string;
  description?: string;
  /** Left out of lists, and still run by who knows its address. */
  unlisted?: boolean;
  handler: ActionHandler;
}

/** An action with a name, a description, and what it does. */
declare class Action {
  constructor(action: ActionHandler | ActionDefinition);
  handler: ActionHandler;
}

/**
 * A page of actions, and what it shows of its own. Its handler runs anew whenever somebody opens the page, in the
 * published version, and nothing of it is kept: it only shows.
 */
declare class Page {
  constructor(page: {
    name: string;
    description?: string;
    unlisted?: boolean;
    handler?: (display: IO["display"], ctx: PageContext) => Layout | undefined | void | Promise<Layout | undefined | void>;
    routes?: HookActions;
  });
  add(slug: string, route: HookActions[string]): void;
  remove(slug: string): void;
}

/** What a page's handler returns; nothing, where a page shows only the actions on it. */
declare class Layout {
  constructor(layout: {
    /** Waited for, as the description is; what they throw is said on the page. */
    title?: Eventual<string>;
    description?: Eventual<string>;
    /** Buttons beside the title; an action on this page is reached by one with its `route`. */
    menuItems?: ButtonItem[];
    /** What `display` makes, not awaited. People page, sort and filter in each. */
    children?: DisplayIOPromise[];
  });
}

/** `io` of the action that runs; there is none outside of one. */
declare const io: IO;

/** `ctx` of the action that runs; there is none outside of one. */
declare const ctx: ActionContext;

/** A question or a display. It is asked or shown when it is awaited. */
interface IOPromise<T> extends PromiseLike<T> {}

type Choice = string | { label: string; value: string; theme?: ButtonTheme };
type ButtonTheme = "primary" | "secondary" | "danger";
/** What is wrong with an answer, in words for who gave it; nothing when it will do. */
type Verdict = string | undefined | null | void | Promise<string | undefined | null | void>;

interface ChosenIOPromise<T> extends IOPromise<{ choice: string; returnValue: T }> {
  validate(validator: (answer: { choice: string; returnValue: T }) => Verdict): ChosenIOPromise<T>;
  optional(isOptional?: boolean): ChosenIOPromise<T | undefined>;
}

interface DisplayIOPromise extends IOPromise<null> {
  /** Buttons: the run waits until one is pressed. */
  withChoices(choices: Choice[]): ChosenIOPromise<null>;
}

interface InputIOPromise<T> extends IOPromise<T> {
  /** Asked again while the validator gives a message. */
  validate(validator: (value: T) => Verdict): this;
  /** May be left out, and is `undefined` then. */
  optional(isOptional?: boolean): InputIOPromise<T | undefined>;
  /** Buttons in place of the usual one; gives `{choice, returnValue}`. */
  withChoices(choices: Choice[]): ChosenIOPromise<T>;
}

interface MultipleableIOPromise<T> extends InputIOPromise<T> {
  /** Any number of them, as an array. */
  multiple(options?: { defaultValue?: T[] }): InputIOPromise<T[]>;
}

interface ExclusiveIOPromise extends IOPromise<boolean> {
  validate(validator: (value: boolean) => Verdict): this;
}

type GroupValue<Q> = { [K in keyof Q]: Q[K] extends PromiseLike<infer T> ? T : never };

interface GroupIOPromise<T> extends IOPromise<T> {
  validate(validator: (values: T) => Verdict): this;
  withChoices(choices: Choice[]): ChosenIOPromise<T>;
}

interface InputProps {
  /** Words below the field. Markdown. */
  helpText?: string;
  disabled?: boolean;
}

interface TextProps extends InputProps {
  placeholder?: string;
  defaultValue?: string | null;
}

interface DateObject {
  year: number;
  month: number;
  day: number;
}

interface TimeObject {
  hour: number;
  minute: number;
}

interface IOFile {
  name: string;
  type: string;
  size: number;
  lastModified: Date;
  readonly extension: string;
  url(): Promise<string>;
  text(): Promise<string>;
  json(): Promise<any>;
  buffer(): Promise<Uint8Array>;
}

type Primitive = string | number | boolean | Date;
type Option = Primitive | { label: Primitive; value: Primitive; description?: string; image?: IOImage; [more: string]: any };
type ImageSize = "thumbnail" | "small" | "medium" | "large";

interface IOImage {
  url?: string;
  buffer?: Uint8Array | ArrayBuffer;
  alt?: string;
  size?: ImageSize;
}

/** Where something leads: an address, or a route with its params. */
interface Target {
  url?: string;
  route?: string;
  params?: Record<string, any>;
}

interface MenuItem extends Target {
  label: string;
  theme?: "danger";
  disabled?: boolean;
}

interface ButtonItem extends Target {
  label: string;
  theme?: ButtonTheme;
  disabled?: boolean;
}

type Cell =
  | Primitive
  | bigint
  | null
  | undefined
  | (Target & {
      label?: Primitive | null;
      value?: Primitive | null;
      image?: IOImage;
      highlightColor?: "red" | "orange" | "yellow" | "green" | "blue" | "purple" | "pink" | "gray";
    });

type Column<Row> =
  | (keyof Row & string)
  | { label: string; accessorKey?: keyof Row & string; renderCell?: (row: Row) => Cell };

interface TableProps<Row> {
  helpText?: string;
  /** By default one for each property of the rows. */
  columns?: Column<Row>[];
  rowMenuItems?: (row: Row) => MenuItem[];
  defaultPageSize?: number;
  isSortable?: boolean;
  isFilterable?: boolean;
}

interface TablePosition {
  queryTerm?: string;
  sortColumn?: string;
  sortDirection?: "asc" | "desc";
  offset: number;
  pageSize: number;
}

interface GridItem extends Target {
  label?: string | null;
  description?: string | null;
  image?: { url?: string | null; alt?: string; fit?: "cover" | "contain"; aspectRatio?: number } | null;
  menu?: MenuItem[];
}

type Eventual<T> = T | Promise<T> | (() => T | Promise<T>);

/** Questions to a person, and what is shown to them. */
interface IO {
  /** Several questions at once, as an array or by name. */
  group<Q extends readonly [IOPromise<any>, ...IOPromise<any>[]] | Record<string, IOPromise<any>> | IOPromise<any>[]>(
    questions: Q,
    options?: { continueButton?: { label?: string; theme?: ButtonTheme } },
  ): GroupIOPromise<GroupValue<Q>>;
  /** Yes or no, before something that cannot be undone. Stands alone. */
  confirm(label: string, props?: { helpText?: string }): ExclusiveIOPromise;
  /** Whoever runs it shows again who they are. Stands alone. */
  confirmIdentity(label: string, props?: { gracePeriodMs?: number }): ExclusiveIOPromise;
  /** One of what `onSearch` finds. */
  search<R>(
    label: string,
    props: TextPropsWithout<"defaultValue"> & {
      onSearch: (query: string) => R[] | Promise<R[]>;
      renderResult: (result: R) => Primitive | { label: Primitive; description?: string; image?: IOImage };
      initialResults?: R[];
      defaultValue?: R;
    },
  ): MultipleableIOPromise<R>;
  input: {
    text(
      label: string,
      props?: TextProps & { multiline?: boolean; lines?: number; minLength?: number; maxLength?: number },
    ): InputIOPromise<string>;
    email(label: string, props?: TextProps): InputIOPromise<string>;
    number(
      label: string,
      props?: InputProps & {
        min?: number;
        max?: number;
        prepend?: string;
        placeholder?: string;
        defaultValue?: number | null;
        decimals?: number;
        currency?: "USD" | "CAD" | "EUR" | "GBP" | "AUD" | "CNY" | "JPY";
      },
    ): InputIOPromise<number>;
    slider(
      label: string,
      props: InputProps & { min: number; max: number; step?: number; defaultValue?: number | null },
    ): InputIOPromise<number>;
    boolean(label: string, props?: InputProps & { defaultValue?: boolean | null }): InputIOPromise<boolean>;
    /** A `URL`; http and https by default. */
    url(label: string, props?: TextProps & { allowedProtocols?: string[] }): InputIOPromise<URL>;
    date(
      label: string,
      props?: InputProps & { defaultValue?: DateObject | Date | null; min?: DateObject | Date; max?: DateObject | Date },
    ): InputIOPromise<DateObject & { jsDate: Date }>;
    time(
      label: string,
      props?: InputProps & { defaultValue?: TimeObject | null; min?: TimeObject; max?: TimeObject },
    ): InputIOPromise<TimeObject>;
    datetime(
      label: string,
      props?: InputProps & {
        defaultValue?: (DateObject & TimeObject) | Date | null;
        min?: (DateObject & TimeObject) | Date;
        max?: (DateObject & TimeObject) | Date;
      },
    ): InputIOPromise<DateObject & TimeObject & { jsDate: Date }>;
    /** Formatted text, as HTML. */
    richText(label: string, props?: TextProps): InputIOPromise<string>;
    file(label: string, props?: InputProps & { allowedExtensions?: string[] }): MultipleableIOPromise<IOFile>;
  };
  select: {
    /** The option itself, as it was given. */
    single<O extends Option>(
      label: string,
      props: InputProps & { options: readonly O[]; defaultValue?: O | null; searchable?: boolean },
    ): InputIOPromise<O>;
    multiple<O extends Option>(
      label: string,
      props: InputProps & {
        options: readonly O[];
        defaultValue?: readonly O[] | null;
        minSelections?: number;
        maxSelections?: number;
      },
    ): InputIOPromise<O[]>;
    /** Rows of a table, as they were given. */
    table<Row extends object>(
      label: string,
      props: TableProps<Row> & {
        data: readonly Row[];
        initiallySelected?: (row: Row) => boolean;
        minSelections?: number;
        maxSelections?: number;
        disabled?: boolean;
      },
    ): InputIOPromise<Row[]>;
  };
  /** Shown, and gone on from at once. */
  display: {
    heading(
      label: string,
      props?: { level?: 2 | 3 | 4; description?: string; menuItems?: ButtonItem[] },
    ): DisplayIOPromise;
    /** GitHub Flavored Markdown. */
    markdown(text: string): DisplayIOPromise;
    /** Without scripts, styles, forms and frames. */
    html(label: string, props: { html: string }): DisplayIOPromise;
    code(label: string, props: { code: string; language?: string }): DisplayIOPromise;
    image(label: string, props: IOImage & { width?: ImageSize; height?: ImageSize }): DisplayIOPromise;
    video(
      label: string,
      props: {
        url?: string;
        buffer?: Uint8Array | ArrayBuffer;
        size?: ImageSize;
        width?: ImageSize;
        height?: ImageSize;
        loop?: boolean;
        muted?: boolean;
      },
    ): DisplayIOPromise;
    link(label: string, props: Target & { theme?: ButtonTheme }): DisplayIOPromise;
    /** Any value, as a tree to open. */
    object(label: string, props: { data: any }): DisplayIOPromise;
    /** Labels and values; one that is still to come is waited for. */
    metadata(
      label: string,
      props: {
        layout?: "grid" | "list" | "card";
        data: {
          label: string;
          value?: Eventual<Primitive | bigint | null | undefined>;
          url?: Eventual<string>;
          image?: Eventual<IOImage>;
          route?: Eventual<string>;
          params?: Eventual<Record<string, any>>;
        }[];
      },
    ): DisplayIOPromise;
    /** With `data`, or with `getData`, which is asked for each page. */
    table<Row extends object>(
      label: string,
      props: TableProps<Row> & {
        data?: readonly Row[];
        getData?: (position: TablePosition) => Promise<{ data: Row[]; totalRecords?: number }>;
        orientation?: "horizontal" | "vertical";
      },
    ): DisplayIOPromise;
    grid<Row>(
      label: string,
      props: {
        data?: readonly Row[];
        getData?: (position: { queryTerm?: string; offset: number; pageSize: number }) => Promise<{
          data: Row[];
          totalRecords?: number;
        }>;
        renderItem: (row: Row) => GridItem;
        idealColumnWidth?: number;
        defaultPageSize?: number;
        helpText?: string;
        isFilterable?: boolean;
      },
    ): DisplayIOPromise;
  };
  experimental: {
    spreadsheet(
      label: string,
      props: {
        columns: Record<string, "string" | "string?" | "number" | "number?" | "boolean" | "boolean?">;
        defaultValue?: Record<string, any>[] | null;
        helpText?: string;
      },
    ): InputIOPromise<Record<string, any>[]>;
  };
}

type TextPropsWithout<K extends keyof TextProps> = Omit<TextProps, K>;

/** A response that `ctx.fetch` was given. */
interface FetchResponse {
  readonly ok: boolean;
  readonly status: number;
  readonly statusText: string;
  readonly url: string;
  readonly redirected: boolean;
  readonly headers: {
    get(name: string): string | null;
    has(name: string): boolean;
    getSetCookie(): string[];
    [Symbol.iterator](): IterableIterator<[string, string]>;
  };
  text(): Promise<string>;
  json(): Promise<any>;
  arrayBuffer(): Promise<ArrayBuffer>;
  bytes(): Promise<Uint8Array>;
}

interface LoadingOptions {
  label?: string;
  description?: string;
  /** Shows a bar, which `completeOne` moves. */
  itemsInQueue?: number;
  itemsCompleted?: number;
}

/**
 * What a page may do: look things up. `step`, `sleep`, `send`, `call`, `job`, `notify` and questions are for actions, and
 * throw here: have an action do it, and lead there with one of the page's `menuItems`.
 */
interface PageContext
  extends Pick<
    ActionContext,
    "user" | "params" | "environment" | "organization" | "redirect" | "now" | "random" | "uuid" | "fetch" | "state"
  > {
  readonly page: { slug: string; url: string };
  /** A line in the page's log, which is shown below it for as long as it is open. */
  log(...values: any[]): Promise<void>;
}

interface ActionContext {
  /** Who runs it. */
  readonly user: { email: string; firstName: string | null; lastName: string | null; role: string; teams: string[] };
  /** What stood in the address that started it, or was queued with it. */
  readonly params: Record<string, any>;
  readonly environment: string;
  readonly organization: { name: string; slug: string };
  readonly action: { slug: string; url: string };

  /** A line in the run's log. */
  log(...values: any[]): Promise<void>;
  loading: {
    start(options?: string | LoadingOptions): Promise<void>;
    update(options?: string | LoadingOptions): Promise<void>;
    completeOne(): Promise<void>;
  };
  /** Leads whoever runs it elsewhere. */
  redirect(to: Target & { replace?: boolean }): Promise<void>;
  /** Tells people, wherever they are. */
  notify(notification: {
    message: string;
    title?: string;
    delivery?: { to: string; method?: "EMAIL" | "SLACK" }[];
    idempotencyKey?: string;
  }): Promise<void>;

  /**
   * Does something once: its result is kept, and given again whenever the run goes on. Only what it returns is kept. A
   * step that was cut off is begun again, with the same `idempotencyKey`.
   */
  step<T>(name: string, perform: (step: { idempotencyKey: string }) => T | Promise<T>): Promise<T>;
  /** Milliseconds, or until a date. Costs nothing meanwhile. */
  sleep(until: number | Date | string): Promise<void>;
  /** Milliseconds since 1970, at what last came from outside; `Date` says the same. */
  now(): number;
  /** The same at every replay, as is `Math.random`. */
  random(): number;
  uuid(): string;
  /** Asked by the server, once. */
  fetch(
    url: string | URL,
    init?: {
      method?: string;
      headers?: Record<string, string> | Iterable<[string, string]>;
      body?: string | Uint8Array | ArrayBuffer | URLSearchParams | null;
    },
  ): Promise<FetchResponse>;
  /** The state of the hook that this action lives in. */
  state(): Promise<HookState>;
  /** A request to that hook. What is no text is sent as JSON. */
  send(body: any, options?: { method?: string; headers?: Record<string, string> }): Promise<{ id: string; seq: number }>;
  /**
   * Calls one of your functions, by its slug. A body that is no text is sent as JSON, and one that comes as JSON is read.
   * Throws where the function fails; whatever it answers, and be it 500, is its answer.
   */
  call(
    name: string,
    request?: { method?: string; path?: string; headers?: Record<string, string>; body?: any },
  ): Promise<{ status: number; headers: Record<string, string>; body: any }>;
  /** Runs a script on an open browser tab. */
  job(code: string | ((input: any) => any), input?: any): Promise<any>;
}
