# What the table test asks for, by the header `x-action`: everfold/tests/runtimes.rs.
import asyncio
import os
import sys
import time


def main(context):
    req, res = context.req, context.res
    match req.headers.get("x-action"):
        case "request":
            return res.json(
                {
                    "method": req.method,
                    "scheme": req.scheme,
                    "host": req.host,
                    "port": req.port,
                    "path": req.path,
                    "query": req.query,
                    "queryString": req.query_string,
                    "url": req.url,
                    "headers": req.headers,
                }
            )
        case "text":
            return res.text(req.body_text)
        case "json":
            return res.json({"json": req.body_json})
        case "body":
            return res.json({"body": req.body, "raw": req.body_raw})
        case "binary":
            return res.binary(req.body_binary)
        case "length":
            return res.text(len(req.body_binary))
        case "created":
            mine = {"X-Upper": "Kept", "X-Open-Runtimes-Mine": "dropped", "Content-Length": "1"}
            return res.text("made", 201, mine)
        case "html":
            return res.text("<p>", 200, {"content-type": "TEXT/HTML"})
        case "charset":
            return res.text("<p>", 200, {"content-type": "text/html; charset=latin1"})
        case "multipart":
            return res.text("--b--", 200, {"content-type": "multipart/mixed; boundary=b"})
        case "cookies":
            return res.text("", 200, {"set-cookie": ["a=1", "b=2"]})
        case "split":
            return res.text("", 200, {"x-one": "a\r\nx-two: b"})
        case "status":
            return res.text("", 1000)
        case "empty":
            return res.empty()
        case "body204":
            return res.text("not sent", 204)
        case "redirect":
            return res.redirect("https://everfold.test/there")
        case "redirect307":
            return res.redirect("/there", 307, {"x-why": "moved"})
        case "throw":
            raise RuntimeError("thrown on purpose")
        case "later":
            return later()
        case "nothing":
            return None
        case "sleep":
            time.sleep(3)
            return res.text("late")
        case "logs":
            context.log("plain", 1, "true", {"a": [1]})
            context.error("bad")
            context.error(RuntimeError("told"))
            return res.text("logged")
        case "long":
            context.log("é" * 8000)
            context.log("é" * 8001)
            return res.text("logged")
        case "native":
            print("to the console", 1)
            print("as an error", file=sys.stderr)
            return res.text("printed")
        case "stdout":
            sys.stdout.write("to stdout\n")
            sys.stderr.write("to stderr")
            return res.text("printed")
        case "concurrent":
            return concurrent(context)
        case "stream":
            return res.text(stream(context), 200, {"content-type": "text/event-stream"})
        case "broken":
            return res.binary(broken())
        case "environment":
            return res.json({"all": dict(os.environ)})
        case _:
            return res.text("Hello")


async def later():
    await asyncio.sleep(0.01)
    raise RuntimeError("thrown later")


async def concurrent(context):
    me = context.req.body_text
    for part in ["first", "second"]:
        context.log(f"{me} {part}")
        print(f"{me} printed {part}")
        await asyncio.sleep(0.2)
    return context.res.text(me)


async def stream(context):
    context.log("in the stream")
    yield "one,"
    await asyncio.sleep(1)
    yield "two"


def broken():
    yield b"1"
    raise RuntimeError("broken on purpose")
