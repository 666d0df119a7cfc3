// The server of functions in Bun and Deno: each one's own, whose handler takes a Request and gives a Response.

import { BODY_BYTES_MAX, NOTHING, answer, begin, hasBody, isStream, listening, printed, uncaught, unhandled } from './contract.mjs';

if (globalThis.Bun) {
    const { host } = await import('./host.mjs');
    // Large, and few functions print. Bun's process.stdout is as large, and to replace it is to make it: not captured.
    begin({ ...host, format: (values) => process.getBuiltinModule('node:util').format(...values) });
    process.on('uncaughtException', uncaught);
    process.on('unhandledRejection', unhandled);
    // What is too large is counted here, so that it is refused in the contract's way.
    const bounds = { maxRequestBodySize: Number.MAX_SAFE_INTEGER, idleTimeout: 0 };
    Bun.serve({ unix: process.env.EVERFOLD_SOCKET, fetch: respond, development: false, ...bounds });
    listening();
} else {
    begin(denoHost());
    captureDeno();
    addEventListener('error', (event) => (event.preventDefault(), uncaught(event.error)));
    addEventListener('unhandledrejection', (event) => (event.preventDefault(), unhandled(event.reason)));
    Deno.serve({ path: Deno.env.get('EVERFOLD_SOCKET'), onListen: listening }, respond);
}

/** Deno's own: to touch what it has of Node.js takes forty milliseconds of a cold start. */
function denoHost() {
    const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];
    const writeAll = (file, text) => {
        for (let rest = encoder.encode(text); rest.length; ) rest = rest.subarray(file.writeSync(rest));
    };
    return {
        variable: (name) => Deno.env.get(name),
        text: Deno.readTextFileSync,
        print: (text) => writeAll(Deno.stdout, text),
        format: (values) => values.map((value) => (typeof value === 'string' ? value : Deno.inspect(value))).join(' '),
        exists(file) {
            try {
                return Deno.statSync(file).isFile;
            } catch {
                return false;
            }
        },
        append(file) {
            const logs = Deno.openSync(file, { append: true, create: true });
            return (text) => writeAll(logs, text);
        },
        secret() {
            const bytes = new Uint8Array(1024);
            let line = '';
            for (let read; !line.includes('\n') && (read = Deno.stdin.readSync(bytes)); ) {
                line += decoder.decode(bytes.subarray(0, read));
            }
            return line;
        },
    };
}

function captureDeno() {
    const decoder = new TextDecoder();
    for (const file of [Deno.stdout, Deno.stderr]) {
        const { write, writeSync } = file;
        file.writeSync = (bytes) => (printed(decoder.decode(bytes)) ? bytes.length : writeSync.call(file, bytes));
        file.write = async (bytes) => (printed(decoder.decode(bytes)) ? bytes.length : write.call(file, bytes));
    }
}

function respond(request) {
    const headers = Object.fromEntries(request.headers);
    const { method, url } = request;
    const target = url.slice(url.indexOf('/', url.indexOf('://') + 3));
    return new Promise((reply) => {
        answer({ method, target, headers, body: () => read(request, headers) }, (answered) => reply(response(answered)));
    });
}

function read(request, headers) {
    if (!request.body) return NOTHING;
    if (headers['content-length'] > BODY_BYTES_MAX) return null;
    return headers['content-length'] ? request.bytes() : readCounting(request.body);
}

async function readCounting(body) {
    const chunks = [];
    let length = 0;
    for await (const chunk of body) {
        length += chunk.length;
        if (length > BODY_BYTES_MAX) return null;
        chunks.push(chunk);
    }
    return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

function response({ status, headers, body, isLast }) {
    const lines = [];
    for (let at = 0; at < headers.length; at += 2) lines.push([headers[at], headers[at + 1]]);
    if (isLast) lines.push(['connection', 'close']);
    if (!hasBody(status)) body = null;
    else if (isStream(body)) body = readable(body);
    return new Response(body, { status, headers: lines });
}

function readable(chunks) {
    return new ReadableStream({
        async pull(controller) {
            const { done, value } = await chunks.next();
            if (done) controller.close();
            else controller.enqueue(value);
        },
        cancel: () => void chunks.return(),
    });
}
