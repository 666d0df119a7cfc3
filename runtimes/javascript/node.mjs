// The server of functions in Node.js: node:http on a Unix socket.

import { writeSync } from 'node:fs';
import { createServer } from 'node:http';
import { Writable } from 'node:stream';
import { format } from 'node:util';

import { BODY_BYTES_MAX, NOTHING, answer, begin, hasBody, isStream, listening, printed, uncaught, unhandled } from './contract.mjs';
import { host } from './host.mjs';

/** All header lines of a request together. */
const HEAD_BYTES_MAX = 64 * 1024;

begin({ ...host, format: (values) => format(...values) });
for (const [fd, name] of [
    [1, 'stdout'],
    [2, 'stderr'],
]) {
    const write = (chunk, _encoding, done) => {
        if (!printed(String(chunk))) writeSync(fd, chunk);
        done();
    };
    // Made when somebody first asks for it: that takes a millisecond of a cold start.
    let stream;
    const get = () => (stream ??= new Writable({ write }));
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get });
}
process.on('uncaughtException', uncaught);
process.on('unhandledRejection', unhandled);

const server = createServer({ maxHeaderSize: HEAD_BYTES_MAX, requestTimeout: 0 }, (incoming, outgoing) => {
    const { method, url, headers } = incoming;
    answer({ method, target: url, headers, body: () => read(incoming) }, (answered) => send(answered, outgoing, incoming));
});
// The proxy decides how long it keeps a connection, and how long a request may take.
server.keepAliveTimeout = 0;
server.headersTimeout = 0;
server.listen(process.env.EVERFOLD_SOCKET, listening);

function read(incoming) {
    const { headers } = incoming;
    const length = headers['content-length'];
    if (length === undefined && headers['transfer-encoding'] === undefined) return NOTHING;
    if (length > BODY_BYTES_MAX) return null;
    return new Promise((whole, broken) => {
        const chunks = [];
        let bytes = 0;
        incoming.on('data', (chunk) => {
            bytes += chunk.length;
            if (bytes > BODY_BYTES_MAX) whole(null);
            else chunks.push(chunk);
        });
        incoming.on('end', () => whole(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, bytes)));
        incoming.on('close', () => broken(new Error('the request was broken off')));
    });
}

function send({ status, headers, body, isLast }, outgoing, incoming) {
    if (isLast) {
        headers.push('connection', 'close');
        incoming.resume();
    }
    if (isStream(body)) return stream(status, headers, body, outgoing);
    if (body === null || !hasBody(status)) return outgoing.writeHead(status, headers).end();
    headers.push('content-length', typeof body === 'string' ? Buffer.byteLength(body) : body.length);
    outgoing.writeHead(status, headers).end(body);
}

async function stream(status, headers, body, outgoing) {
    outgoing.writeHead(status, headers);
    outgoing.flushHeaders();
    try {
        for await (const chunk of body) {
            if (!outgoing.write(chunk)) await new Promise((go) => outgoing.once('drain', go).once('close', go));
            if (outgoing.destroyed) return;
        }
        outgoing.end();
    } catch {
        outgoing.destroy();
    }
}
