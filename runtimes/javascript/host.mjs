// What Node.js and Bun have in common of a host: files and the environment.

import { existsSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';

/** A line of standard input; the secret is far shorter. */
const LINE_BYTES_MAX = 1024;

export const host = {
    variable: (name) => process.env[name],
    exists: existsSync,
    text: (file) => readFileSync(file, 'utf8'),
    print: (text) => writeSync(1, text),

    append(file) {
        const logs = openSync(file, 'a');
        return (text) => {
            const line = Buffer.from(text);
            for (let written = 0; written < line.length; ) written += writeSync(logs, line, written);
        };
    },

    secret() {
        const bytes = Buffer.alloc(LINE_BYTES_MAX);
        let length = 0;
        while (length < LINE_BYTES_MAX && !bytes.includes(10)) {
            try {
                const read = readSync(0, bytes, length, LINE_BYTES_MAX - length, null);
                if (read === 0) break;
                length += read;
            } catch (error) {
                if (error.code !== 'EAGAIN') break;
            }
        }
        return bytes.toString('utf8', 0, length);
    },
};
