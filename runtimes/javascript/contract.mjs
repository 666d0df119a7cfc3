// The contract between Everfold and a function, as far as Node.js, Bun and Deno share it: runtimes/README.md.

// Of what is not the same in all three, a server hands over a `host`: variable(name), secret(), exists(file), text(file),
// append(file) → (line) => void, format(values), print(text).

import { AsyncLocalStorage } from 'node:async_hooks';

/** A request's body; above it is 413. */
export const BODY_BYTES_MAX = 20 * 1024 * 1024;
/** One log entry; the rest of it is cut. */
const ENTRY_CHARS_MAX = 8000;
/** How often the clock is looked at while a call is under one. */
const CLOCK_MS = 20;

const OURS = 'x-open-runtimes-';
/** What frames a message belongs to the server, not to user code. */
const FRAMING = new Set(['connection', 'content-length', 'keep-alive', 'trailer', 'transfer-encoding', 'upgrade']);
export const NOTHING = new Uint8Array(0);

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

let host, folder, entrypoint, isDevelopment, enforced, secret, append;
/** Which call the code that runs now belongs to. */
const calls = new AsyncLocalStorage();

/** Reads what this server was launched with. The secret is gone from its pipe before there is user code to look. */
export function begin(itsHost) {
    host = itsHost;
    secret = host.secret().split('\n')[0].trim();
    folder = host.variable('EVERFOLD_FUNCTION');
    entrypoint = host.variable('OPEN_RUNTIMES_ENTRYPOINT') || 'index.js';
    isDevelopment = host.variable('OPEN_RUNTIMES_ENV') === 'development';
    enforced = enforcedHeaders(host.variable('OPEN_RUNTIMES_HEADERS'));
    const logs = host.variable('EVERFOLD_LOGS');
    append = logs ? host.append(logs) : null;
}

/**
 * Answers one request: `{method, target, headers, body}`, where `body()` gives the bytes, or null above the bound, at once
 * or by a promise. `send` is handed `{status, headers: [name, value, …], body}`, whose body is text, bytes, a stream of
 * bytes, or null where there is none and its length is not known; `isLast` says that the connection cannot be used again.
 * Promises are few here: each costs a microsecond where calls are told apart.
 */
export function answer(asked, send) {
    const { target, headers } = asked;
    const mark = target.indexOf('?');
    const path = mark < 0 ? target : target.slice(0, mark);
    if (path === '/__opr/health') return send(plain(200, 'OK'));
    if (path === '/__opr/timings') return send(plain(200, timings()));

    const call = new Call(asked.method, headers[`${OURS}logging`], headers[`${OURS}log-id`], send);
    const timeout = headers[`${OURS}timeout`];
    if (timeout && !/^0*[1-9][0-9]*$/.test(timeout)) {
        return call.end(500, `Header "${OURS}timeout" must be an integer greater than 0.`);
    }
    if (secret && headers[`${OURS}secret`] !== secret) {
        return call.end(500, `Unauthorized. Provide correct "${OURS}secret" header.`);
    }
    if (timeout) watch(call, timeout * 1000);
    const run = (body) => {
        if (body === null) return call.end(413, 'The body is larger than 20 MiB.', {}, true);
        const context = {
            req: new Request(asked.method, path, mark < 0 ? '' : target.slice(mark + 1), headers, body),
            res: responses,
            log: (...values) => call.log(...values),
            error: (...values) => call.error(...values),
        };
        calls.run(call, start, call, context);
    };
    const body = asked.body();
    if (body instanceof Promise) body.then(run, () => call.close());
    else run(body);
}

function start(call, context) {
    if (!loaded) {
        return load().then(
            () => start(call, context),
            (error) => call.fail(error, 503),
        );
    }
    try {
        const output = loaded(context);
        if (typeof output?.then !== 'function') return call.respond(output);
        output.then(
            (output) => call.respond(output),
            (error) => call.fail(error),
        );
    } catch (error) {
        call.fail(error);
    }
}

/** Calls under a clock, and when it ends them. One timer for all: a timer each would cost more than the call. */
const watched = new Map();
let timer = null;

function watch(call, timeoutMs) {
    watched.set(call, performance.now() + timeoutMs);
    timer ??= setTimeout(lookAtClock, CLOCK_MS);
}

/** The clock ends the waiting, not the code: what loops is ended by whoever launched this server. */
function lookAtClock() {
    const now = performance.now();
    for (const [call, until] of watched) {
        if (!call.isAnswered && now >= until) call.fail('Execution timed out.');
        if (call.isAnswered) watched.delete(call);
    }
    timer = watched.size ? setTimeout(lookAtClock, CLOCK_MS) : null;
}

/** One run of the function: its log entries, and what comes of it. */
class Call {
    constructor(method, logging = 'enabled', id, send) {
        this.isHead = method === 'HEAD';
        this.id = logging === 'enabled' ? id || (isDevelopment ? 'dev' : newId()) : '';
        this.send = send;
        this.isAnswered = false;
        this.isOver = false;
        this.hasLogged = false;
        this.isNoticed = false;
    }

    log(...values) {
        this.entry('logs', values.map(shown).join(' '));
    }

    error(...values) {
        this.entry('errors', values.map(shown).join(' '));
    }

    /** What was printed rather than logged. */
    native(text) {
        if (!this.isNoticed) {
            this.isNoticed = true;
            this.log('Native logs detected. Use context.log() or context.error() for better experience.');
        }
        this.entry('logs', text.endsWith('\n') ? text.slice(0, -1) : text);
    }

    entry(stream, text) {
        if (this.isOver || !this.id) return;
        if (text.length > ENTRY_CHARS_MAX) {
            text = `${text.slice(0, ENTRY_CHARS_MAX)}... Log truncated due to size limit (8000 characters)`;
        }
        // A cut may leave half of a pair, which is no text to whoever reads the line.
        if (!text.isWellFormed?.()) text = decoder.decode(encoder.encode(text));
        this.hasLogged = true;
        frame({ id: this.id, stream, text });
    }

    close() {
        if (!this.isOver && this.id) frame({ id: this.id, end: true });
        this.isOver = true;
    }

    respond(output) {
        if (this.isAnswered) return;
        if (output === null || typeof output !== 'object') {
            return this.fail('Return statement missing. return context.res.empty() if no response is expected.');
        }
        try {
            const status = Number(output.statusCode ?? 200);
            if (!Number.isInteger(status) || status < 200 || status > 599) {
                throw new RangeError(`A status is a number from 200 to 599, not ${output.statusCode}.`);
            }
            this.end(status, output.body ?? '', output.headers ?? {});
        } catch (error) {
            this.fail(error);
        }
    }

    fail(error, status = 500) {
        if (this.isAnswered) return;
        this.error(error);
        this.end(status, '');
    }

    end(status, body, given = {}, isLast = false) {
        const headers = [];
        let contentType = 'text/plain';
        for (const key of Object.keys(given)) {
            const name = key.toLowerCase();
            if (name.startsWith(OURS) || FRAMING.has(name)) continue;
            for (const value of Array.isArray(given[key]) ? given[key] : [given[key]]) {
                if (value === undefined || value === null) continue;
                if (name === 'content-type') contentType = String(value).toLowerCase();
                else headers.push(checked(name, NAME), checked(String(value), VALUE));
            }
        }
        if (!contentType.startsWith('multipart/') && !contentType.includes('charset=')) contentType += '; charset=utf-8';
        headers.push('content-type', checked(contentType, VALUE), `${OURS}log-id`, checked(this.id, VALUE));
        if (isStream(body)) {
            body = this.isHead || !hasBody(status) ? null : this.stream(body);
        } else if (typeof body !== 'string') {
            body = bytes(body);
        }
        this.isAnswered = true;
        if (!isStream(body)) {
            // A header is cheaper than a line of the log.
            if (this.hasLogged || !this.id) this.close();
            else headers.push(`${OURS}logged`, 'nothing');
            this.isOver = true;
        }
        this.send({ status, headers, body, isLast });
    }

    /** Ends the log before the stream. What throws on the way is an error, and the reply is seen to be cut. */
    async *stream(chunks) {
        const iterator = chunks[Symbol.asyncIterator]?.() ?? chunks;
        let isDone = false;
        try {
            for (;;) {
                const next = await calls.run(this, () => iterator.next());
                isDone = next.done;
                if (isDone) return;
                yield bytes(next.value);
            }
        } catch (error) {
            isDone = true;
            this.error(error);
            throw error;
        } finally {
            this.close();
            if (!isDone) iterator.return?.();
        }
    }
}

/** A name or an address, and its port. */
const HOST = /^(.*?)(?::([0-9]*))?$/;

class Request {
    #body;

    constructor(method, path, queryString, headers, body) {
        this.#body = body;
        this.method = method;
        this.headers = {};
        for (const name in headers) if (!name.startsWith(OURS)) this.headers[name] = headers[name];
        for (const name in enforced) this.headers[name] = enforced[name];
        this.scheme = headers['x-forwarded-proto'] || 'http';
        const usual = this.scheme === 'https' ? 443 : 80;
        const [, host, port] = HOST.exec(headers.host ?? '');
        this.host = host;
        this.port = Number(port) || usual;
        this.path = path;
        this.query = {};
        for (const pair of queryString.split('&')) {
            const [key, ...value] = pair.split('=');
            if (key) this.query[key] = value.join('=');
        }
        this.queryString = queryString;
        const shownPort = this.port === usual ? '' : `:${this.port}`;
        this.url = `${this.scheme}://${host}${shownPort}${path}${queryString && '?'}${queryString}`;
    }

    get bodyBinary() {
        return this.#body;
    }

    get bodyText() {
        return decoder.decode(this.#body);
    }

    get bodyJson() {
        return JSON.parse(this.bodyText);
    }

    get bodyRaw() {
        return this.bodyText;
    }

    get body() {
        const isJson = this.headers['content-type']?.toLowerCase().startsWith('application/json');
        if (!isJson) return this.bodyText;
        return this.#body.length ? this.bodyJson : {};
    }
}

const response = (body, statusCode, headers) => ({ body, statusCode, headers });
const responses = {
    text: (body, status = 200, headers = {}) => response(isStream(body) ? body : String(body), status, headers),
    json: (value, status = 200, headers = {}) =>
        response(JSON.stringify(value), status, { ...headers, 'content-type': 'application/json' }),
    binary: (body, status = 200, headers = {}) => response(body, status, headers),
    empty: () => response('', 204, {}),
    redirect: (url, status = 301, headers = {}) => response('', status, { ...headers, location: url }),
    send: (body, status = 200, headers = {}) => responses.text(body, status, headers),
};

/** The user's function, once it is there. */
let loaded = null;
/** Its loading, which happens once: what failed fails for every request. */
let loading = null;

function load() {
    const file = `${folder}/${entrypoint}`;
    const isThere = () => host.exists(file);
    return (loading ??= isThere() ? imported(file) : Promise.reject(`Failed to load entrypoint, file ${entrypoint} does not exist.`));
}

async function imported(file) {
    const module = await import(`file://${encodeURI(file).replace(/[?#]/g, encodeURIComponent)}`);
    const main = [module, module.default].map((exports) => exports?.default ?? exports).find((main) => typeof main === 'function');
    if (!main) throw new Error(`Failed to load entrypoint, ${entrypoint} exports no function.`);
    return (loaded = main);
}

/** Takes what was printed into the log of the call that printed it, if there is one. */
export function printed(text) {
    const call = calls.getStore();
    if (!call || call.isOver) return false;
    call.native(text);
    return true;
}

for (const name of ['log', 'info', 'debug', 'warn', 'error']) {
    const print = console[name];
    console[name] = (...values) => {
        if (!calls.getStore() || !printed(host.format(values))) print.apply(console, values);
    };
}

/** What nobody caught fails the call that it belongs to; the others go on. */
export function uncaught(error) {
    const call = calls.getStore();
    if (!call || call.isOver) host.print(`${shown(error)}\n`);
    else if (call.isAnswered) call.error(error);
    else call.fail(error);
}

/** The function may do without what a promise came to, so its call goes on. */
export function unhandled(error) {
    const call = calls.getStore();
    if (!call || call.isOver) host.print(`${shown(error)}\n`);
    else call.error(error);
}

export function listening() {
    host.print('HTTP server successfully started!\n');
}

export function isStream(body) {
    return typeof body === 'object' && body !== null && !!(body[Symbol.asyncIterator] || typeof body.next === 'function');
}

/** Whether a reply may have a body at all, and so a length. */
export const hasBody = (status) => status !== 204 && status !== 205 && status !== 304;

function bytes(body) {
    if (body instanceof Uint8Array) return body;
    if (body instanceof ArrayBuffer) return new Uint8Array(body);
    if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
    return encoder.encode(typeof body === 'object' ? JSON.stringify(body) : String(body));
}

function shown(value) {
    if (value instanceof Error) return value.stack || String(value);
    if (typeof value !== 'object' || value === null) return String(value);
    try {
        return JSON.stringify(value) ?? String(value);
    } catch {
        return host.format([value]);
    }
}

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** A line break in a header would begin a header of its own, or a body. */
function checked(text, allowed) {
    if (!allowed.test(text)) throw new TypeError(`A response header has a character that no header may have: ${JSON.stringify(text)}`);
    return text;
}

function plain(status, body) {
    return { status, headers: ['content-type', 'text/plain; charset=utf-8'], body };
}

function timings() {
    const file = host.variable('EVERFOLD_TIMINGS');
    return file && host.exists(file) ? host.text(file) : '';
}

/** When, to the microsecond, and by chance: 20 hexadecimal digits. */
function newId() {
    const now = Date.now();
    const hex = (number, digits) => Math.floor(number).toString(16).padStart(digits, '0');
    return hex(now / 1000, 8) + hex((now % 1000) * 1000, 5) + hex(Math.random() * 16 ** 7, 7);
}

function enforcedHeaders(text) {
    try {
        return Object.fromEntries(Object.entries(JSON.parse(text)).map(([name, value]) => [name.toLowerCase(), String(value)]));
    } catch {
        return {};
    }
}

/** A line of the log: one write each, so that none is torn. */
function frame(entry) {
    append?.(`${JSON.stringify(entry)}\n`);
}
