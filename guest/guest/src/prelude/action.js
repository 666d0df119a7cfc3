// Actions: how a program declares them, and the ctx that one is given when it runs.
(natives, inner) => {
  'use strict';
  const { keys, defineProperty } = Object;
  const { isArray } = Array;
  const [STEP, SLEEP, FETCH, STATE, SEND, FUNCTION, JOB, NOTIFY] = [1, 2, 3, 4, 5, 6, 7, 8];
  const [LOG, LOADING, REDIRECT] = [0, 1, 2];
  const LOG_CHARACTERS_MAX = 10_000;
  const PATH_DEPTH_MAX = 8;

  class Action {
    constructor(given) {
      if (typeof given === 'function') this.handler = given;
      else Object.assign(this, given);
    }
  }

  class Page {
    constructor({ name, description, unlisted, access, handler, routes, actions, groups }) {
      this.name = name;
      this.description = description;
      this.unlisted = unlisted;
      this.access = access;
      this.handler = handler;
      this.routes = { ...routes, ...actions, ...groups };
    }
    add(slug, route) {
      this.routes[slug] = route;
    }
    remove(slug) {
      delete this.routes[slug];
    }
  }

  class Layout {
    constructor({ title, description, children, menuItems }) {
      this.title = title;
      this.description = description;
      this.children = children;
      this.menuItems = menuItems;
    }
  }

  for (const one of [Action, Page, Layout]) {
    defineProperty(globalThis, one.name, { value: one, writable: true, enumerable: false, configurable: true });
  }

  const declared = (slug, holder, handler, isPage) => ({
    slug,
    name: holder.name === undefined ? undefined : `${holder.name}`.toWellFormed(),
    description: holder.description === undefined ? undefined : `${holder.description}`.toWellFormed(),
    unlisted: Boolean(holder.unlisted),
    isPage,
    handler: (io, ctx) => Reflect.apply(handler, holder, [io, ctx]),
  });

  const list = (routes, path, slugBytesMax, listed) => {
    if (path.length >= PATH_DEPTH_MAX) throw new RangeError(`actions nest deeper than ${PATH_DEPTH_MAX}`);
    for (const key of keys(routes)) {
      if (!/^[-_.a-zA-Z0-9]+$/.test(key)) {
        throw new TypeError(`actions: ${JSON.stringify(key)} is no name for an action: it may have letters, digits, -, _ and .`);
      }
      const inside = [...path, key];
      const slug = inside.join('/');
      if (slug.length > slugBytesMax) throw new RangeError(`actions: ${slug} is longer than ${slugBytesMax}`);
      const route = routes[key];
      if (typeof route === 'function') {
        listed.push(declared(slug, {}, route, false));
      } else if (route instanceof Page) {
        // Without code of its own it is a heading over what lies on it.
        listed.push(declared(slug, route, typeof route.handler === 'function' ? route.handler : () => {}, true));
        list(route.routes, inside, slugBytesMax, listed);
      } else if (typeof route === 'object' && route !== null && typeof route.handler === 'function') {
        listed.push(declared(slug, route, route.handler, false));
      } else if (typeof route === 'object' && route !== null && !isArray(route) && !(route instanceof Action)) {
        list(route, inside, slugBytesMax, listed);
      } else {
        throw new TypeError(`actions: ${slug} is no action: it must be a function (io, ctx) => …, or have a handler`);
      }
    }
    return listed;
  };

  inner.listActions = (actions, slugBytesMax) => {
    const routes = actions instanceof Page ? actions.routes : actions;
    if (typeof routes !== 'object' || routes === null || isArray(routes)) throw new TypeError('actions must be an object of actions by name');
    return list(routes, [], slugBytesMax, []);
  };

  // A call that somebody outside returns. `made` makes its value of the JSON that comes back.
  const outside = (kind, method, payload, made = (value) => value) =>
    new Promise((resolve, reject) => {
      natives.called({
        kind,
        method: `${method}`.toWellFormed(),
        label: '',
        payload: inner.textOf(inner.jsonOf(payload)),
        settle: (isOk, value) => {
          if (!isOk) return reject(value);
          try {
            resolve(made(value));
          } catch (error) {
            reject(error);
          }
        },
        start: undefined,
        stated: undefined,
        shown: undefined,
        judges: false,
        isPageable: false,
      });
    });

  inner.fetch = async (input, init) => {
    const asked = inner.fetchOf(input, init);
    let given;
    try {
      // What stands behind the host may hold a secret, and a label is kept as it is.
      given = await outside(FETCH, `${asked.method} ${asked.url.split('/', 3).join('/')}`, asked);
    } catch (error) {
      throw new TypeError(`${error?.message ?? error}`);
    }
    return inner.responseOf(given);
  };

  const work = async (id, perform) => {
    try {
      const value = await perform({ idempotencyKey: natives.tokenOf(id) });
      natives.ended(id, inner.packed(value, 'the result of the step'), undefined);
    } catch (error) {
      natives.ended(id, undefined, error);
    }
  };

  const step = (name, perform) =>
    new Promise((resolve, reject) => {
      if (typeof perform !== 'function') throw new TypeError('a step is a name and a function: ctx.step(name, async () => …)');
      const id = natives.called({
        kind: STEP,
        method: `${name}`.toWellFormed(),
        label: '',
        payload: 'null',
        settle: (isOk, kept) => {
          if (!isOk) return reject(kept);
          resolve(inner.unpack(kept.json, kept.meta));
        },
        start: () => {
          work(id, perform);
        },
        stated: undefined,
        shown: undefined,
        judges: false,
        isPageable: false,
      });
    });

  const untilOf = (until) => {
    const ms = typeof until === 'number' ? natives.now() + until : new Date(until).getTime();
    if (!Number.isFinite(ms)) throw new TypeError('ctx.sleep takes milliseconds, a Date, or a date as text');
    return Math.max(0, Math.round(ms));
  };

  const sent = (body, { method = 'POST', headers } = {}) => {
    const all = new inner.Headers(headers);
    let octets = typeof body === 'string' ? natives.encode(body.toWellFormed()) : inner.octetsOf(body);
    if (octets === undefined) {
      octets = natives.encode((JSON.stringify(body) ?? 'null').toWellFormed());
      if (!all.has('content-type')) all.set('content-type', 'application/json');
    }
    return { method: `${method}`.toUpperCase(), headers: [...all], body: natives.toBase64(octets) };
  };

  const lineOf = (value) => {
    if (typeof value === 'string') return value;
    try {
      return JSON.stringify(value, undefined, 2) ?? inner.inspect(value);
    } catch {
      return inner.inspect(value);
    }
  };

  const log = async (...values) => {
    if (values.length === 0) return;
    let text = values.map(lineOf).join(' ');
    if (text.length > LOG_CHARACTERS_MAX) {
      text = `${text.slice(0, LOG_CHARACTERS_MAX)}...\n^ Only the first ${LOG_CHARACTERS_MAX} characters of a line are kept.`;
    }
    natives.told(LOG, inner.textOf({ __proto__: null, text: text.toWellFormed(), level: 'info' }));
  };

  const makeLoading = () => {
    let state;
    const tell = () => natives.told(LOADING, inner.textOf(inner.jsonOf(state)));
    const optionsOf = (options) => {
      const given = typeof options === 'string' ? { label: options } : (options ?? {});
      const made = {};
      for (const key of ['label', 'title', 'description', 'itemsInQueue', 'itemsCompleted']) {
        if (given[key] !== undefined) made[key] = given[key];
      }
      return made;
    };
    const counted = () => {
      if (state.itemsInQueue) state.itemsCompleted ??= 0;
      tell();
    };
    return {
      get state() {
        return { ...state };
      },
      start: async (options) => {
        state = optionsOf(options);
        if (state.itemsInQueue) state.itemsCompleted = 0;
        tell();
      },
      update: async (options) => {
        state = { ...state, ...optionsOf(options) };
        counted();
      },
      completeOne: async () => {
        if (!state?.itemsInQueue) {
          console.warn('ctx.loading.completeOne: ctx.loading.start was not told how many itemsInQueue there are.');
          return;
        }
        state.itemsCompleted = (state.itemsCompleted ?? 0) + 1;
        tell();
      },
    };
  };

  const redirect = async (to) => {
    const { url, route, action, params, replace } = typeof to === 'string' ? { url: to } : to;
    const target = url !== undefined ? { url: `${url}` } : route !== undefined ? { route: `${route}` } : { action: `${action}` };
    if (url === undefined && route === undefined && action === undefined) throw new TypeError('ctx.redirect takes a url, a route or an action');
    const copy = { __proto__: null, ...inner.jsonOf(target) };
    if (params !== undefined && url === undefined) {
      const { json, meta } = inner.pack(params);
      copy.params = json;
      copy.paramsMeta = meta;
    }
    if (replace !== undefined) copy.replace = Boolean(replace);
    natives.told(REDIRECT, inner.textOf(copy));
  };

  const notify = async ({ message, title, delivery, idempotencyKey }) => {
    if (typeof message !== 'string') throw new TypeError('ctx.notify: message must be text');
    const all = (delivery ?? []).map(({ to, method }) => (method === undefined ? { to: `${to}` } : { to: `${to}`, method: `${method}` }));
    const asked = { message, delivery: all };
    if (title !== undefined) asked.title = `${title}`;
    if (idempotencyKey !== undefined) asked.idempotencyKey = `${idempotencyKey}`;
    await outside(NOTIFY, '', asked, () => undefined);
  };

  const makeCtx = ({ params, paramsMeta, ...given }) => ({
    ...given,
    params: inner.withDates(inner.unpack(params ?? {}, paramsMeta)),
    log,
    redirect,
    notify,
    loading: makeLoading(),
    step,
    sleep: async (until) => {
      await outside(SLEEP, '', { untilMs: untilOf(until) }, () => undefined);
    },
    now: () => natives.now(),
    random: () => natives.random(),
    uuid: () => natives.uuid(),
    fetch: inner.fetch,
    state: () => outside(STATE, '', null, ({ state }) => state),
    send: async (body, options) => {
      const asked = sent(body, options);
      return await outside(SEND, asked.method, asked);
    },
    call: (name, request) => outside(FUNCTION, name, { function: `${name}`, request: request ?? null }),
    job: (code, input) => outside(JOB, '', { code: `${code}`, input: input ?? null }),
  });

  // What a page does whenever somebody looks must change nothing.
  const refused = ['step', 'sleep', 'send', 'call', 'job', 'notify'].map((name) => [
    name,
    () => {
      throw new TypeError(`ctx.${name} is for actions: a page only shows, as often as anybody looks. Do it in an action, and lead there with one of the menuItems.`);
    },
  ]);

  // Begins an action or a page; `io` and `ctx` are there for all of its code while it runs, and at no other time.
  inner.beginRun = (handler, context, isPage) => {
    const { states, ...given } = context;
    const [io, ctx] = [inner.makeIo(), makeCtx(given)];
    if (isPage) {
      Object.assign(ctx, Object.fromEntries(refused));
      inner.isPage = true;
    }
    for (const [name, value] of [['io', io], ['ctx', ctx]]) {
      defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
    }
    if (!isPage) return (async () => handler(io, ctx))();
    return (async () => inner.show(await handler(io.display, ctx), states))();
  };
};
