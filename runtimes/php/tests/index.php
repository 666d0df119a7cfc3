<?php
// What the table test asks for, by the header `x-action`: everfold/tests/runtimes.rs.

function parts(object $context): Generator
{
    $context->log('in the stream');
    yield 'one,';
    sleep(1);
    yield 'two';
}

function broken(): Generator
{
    yield '1';
    throw new Exception('broken on purpose');
}

return function ($context) {
    [$req, $res] = [$context->req, $context->res];
    switch ($req->headers['x-action'] ?? '') {
        case 'request':
            return $res->json([
                'method' => $req->method,
                'scheme' => $req->scheme,
                'host' => $req->host,
                'port' => $req->port,
                'path' => $req->path,
                'query' => $req->query,
                'queryString' => $req->queryString,
                'url' => $req->url,
                'headers' => $req->headers,
            ]);
        case 'text':
            return $res->text($req->bodyText);
        case 'json':
            return $res->json(['json' => $req->bodyJson]);
        case 'body':
            return $res->json(['body' => $req->body === [] ? new stdClass() : $req->body, 'raw' => $req->bodyRaw]);
        case 'binary':
            return $res->binary($req->bodyBinary);
        case 'length':
            return $res->text(strlen($req->bodyBinary));
        case 'created':
            $mine = ['X-Upper' => 'Kept', 'X-Open-Runtimes-Mine' => 'dropped', 'Content-Length' => '1'];
            return $res->text('made', 201, $mine);
        case 'html':
            return $res->text('<p>', 200, ['content-type' => 'TEXT/HTML']);
        case 'charset':
            return $res->text('<p>', 200, ['content-type' => 'text/html; charset=latin1']);
        case 'multipart':
            return $res->text('--b--', 200, ['content-type' => 'multipart/mixed; boundary=b']);
        case 'cookies':
            return $res->text('', 200, ['set-cookie' => ['a=1', 'b=2']]);
        case 'split':
            return $res->text('', 200, ['x-one' => "a\r\nx-two: b"]);
        case 'status':
            return $res->text('', 1000);
        case 'empty':
            return $res->empty();
        case 'body204':
            return $res->text('not sent', 204);
        case 'redirect':
            return $res->redirect('https://everfold.test/there');
        case 'redirect307':
            return $res->redirect('/there', 307, ['x-why' => 'moved']);
        case 'throw':
            throw new Exception('thrown on purpose');
        case 'nothing':
            return null;
        case 'sleep':
            sleep(3);
            return $res->text('late');
        case 'logs':
            $context->log('plain', 1, true, ['a' => [1]]);
            $context->error('bad');
            $context->error(new Exception('told'));
            return $res->text('logged');
        case 'long':
            $context->log(str_repeat('é', 8000));
            $context->log(str_repeat('é', 8001));
            return $res->text('logged');
        case 'native':
            echo 'to the console ', 1, "\n";
            print 'as an error';
            return $res->text('printed');
        case 'stream':
            return $res->text(parts($context), 200, ['content-type' => 'text/event-stream']);
        case 'broken':
            return $res->binary(broken());
        case 'environment':
            return $res->json(['all' => getenv()]);
        default:
            return $res->text('Hello');
    }
};
