// What the table test asks for, by the header `x-action`: everfold/tests/runtimes.rs.

const sleep = (ms) => new Promise((go) => setTimeout(go, ms));

export default async function ({ req, res, log, error }) {
    switch (req.headers['x-action']) {
        case 'request': {
            const { method, scheme, host, port, path, query, queryString, url, headers } = req;
            return res.json({ method, scheme, host, port, path, query, queryString, url, headers });
        }
        case 'text':
            return res.text(req.bodyText);
        case 'json':
            return res.json({ json: req.bodyJson });
        case 'body':
            return res.json({ body: req.body, raw: req.bodyRaw });
        case 'binary':
            return res.binary(req.bodyBinary);
        case 'length':
            return res.text(`${req.bodyBinary.length}`);
        case 'created':
            return res.text('made', 201, { 'X-Upper': 'Kept', 'X-Open-Runtimes-Mine': 'dropped', 'Content-Length': '1' });
        case 'html':
            return res.text('<p>', 200, { 'content-type': 'TEXT/HTML' });
        case 'charset':
            return res.text('<p>', 200, { 'content-type': 'text/html; charset=latin1' });
        case 'multipart':
            return res.text('--b--', 200, { 'content-type': 'multipart/mixed; boundary=b' });
        case 'cookies':
            return res.text('', 200, { 'set-cookie': ['a=1', 'b=2'] });
        case 'split':
            return res.text('', 200, { 'x-one': 'a\r\nx-two: b' });
        case 'status':
            return res.text('', 1000);
        case 'empty':
            return res.empty();
        case 'body204':
            return res.text('not sent', 204);
        case 'redirect':
            return res.redirect('https://everfold.test/there');
        case 'redirect307':
            return res.redirect('/there', 307, { 'x-why': 'moved' });
        case 'throw':
            throw new Error('thrown on purpose');
        case 'later':
            setTimeout(() => {
                throw new Error('thrown later');
            }, 10);
            return sleep(3000);
        case 'nothing':
            return null;
        case 'sleep':
            await sleep(3000);
            return res.text('late');
        case 'logs':
            log('plain', 1, true, { a: [1] });
            error('bad');
            error(new Error('told'));
            return res.text('logged');
        case 'long':
            log('é'.repeat(8000));
            log('é'.repeat(8001));
            return res.text('logged');
        case 'native':
            console.log('to the console', 1);
            console.error('as an error');
            return res.text('printed');
        case 'stdout':
            process.stdout.write('to stdout\n');
            process.stderr.write('to stderr\n');
            return res.text('printed');
        case 'concurrent':
            for (const part of ['first', 'second']) {
                log(`${req.bodyText} ${part}`);
                console.log(`${req.bodyText} printed ${part}`);
                await sleep(200);
            }
            return res.text(req.bodyText);
        case 'stream':
            return res.text(
                (async function* () {
                    log('in the stream');
                    yield 'one,';
                    await sleep(1000);
                    yield 'two';
                })(),
                200,
                { 'content-type': 'text/event-stream' },
            );
        case 'broken':
            return res.binary(
                (function* () {
                    yield new Uint8Array([49]);
                    throw new Error('broken on purpose');
                })(),
            );
        case 'environment':
            return res.json({ all: process.env });
        default:
            return res.text('Hello');
    }
}
