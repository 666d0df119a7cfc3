"""The contract between Everfold and a function, in Python: runtimes/README.md.

A thread for each connection, and nothing imported before it is needed: `socket`, `json` and `re` would take longer than
the rest of a cold start. So the socket and the strings of JSON are those of C, below the modules that wrap them.
"""

import io
import os
import sys
import threading
import time
from _contextvars import ContextVar
from _json import encode_basestring_ascii as quoted

import _socket

import wire

ENTRY_CHARS_MAX = 8000
# How often the clock is looked at while a call is under one.
CLOCK_SECONDS = 0.02
# A log file that is a pipe takes this much of a line at once, at least.
BACKLOG = 512

OURS = "x-open-runtimes-"
CUT = "... Log truncated due to size limit (8000 characters)"
NOTICE = "Native logs detected. Use context.log() or context.error() for better experience."
NO_RETURN = "Return statement missing. return context.res.empty() if no response is expected."

# Which call the code that runs now belongs to.
current = ContextVar("current", default=None)


def serve():
    global folder, entrypoint, is_development, enforced, secret, logs
    secret = sys.stdin.readline().strip()
    folder = os.environ.get("EVERFOLD_FUNCTION", ".")
    entrypoint = os.environ.get("OPEN_RUNTIMES_ENTRYPOINT") or "main.py"
    is_development = os.environ.get("OPEN_RUNTIMES_ENV") == "development"
    enforced = enforced_headers(os.environ.get("OPEN_RUNTIMES_HEADERS"))
    file = os.environ.get("EVERFOLD_LOGS")
    logs = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if file else None
    # What the function imports is its own: its folder takes the place of this one.
    sys.path[0] = folder
    sys.path.insert(1, os.path.join(folder, ".everfold/packages"))

    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    listener.bind(os.environ["EVERFOLD_SOCKET"])
    listener.listen(BACKLOG)
    print("HTTP server successfully started!", flush=True)
    sys.stdout, sys.stderr = Printed(sys.stdout), Printed(sys.stderr)
    while True:
        try:
            descriptor, _ = listener._accept()
        except OSError:
            continue
        connection = wire.Connection(_socket.socket(fileno=descriptor))
        threading.Thread(target=connection.serve, args=(answer,), daemon=True).start()


def answer(request, connection):
    """Answers one request on its connection."""
    path, _, query_string = request.target.partition("?")
    if path == "/__opr/health":
        return connection.reply(200, PLAIN, b"OK")
    if path == "/__opr/timings":
        return connection.reply(200, PLAIN, timings())

    headers = request.headers
    call = Call(connection, headers.get(OURS + "logging", "enabled"), headers.get(OURS + "log-id"))
    timeout = headers.get(OURS + "timeout")
    if timeout and not (timeout.isascii() and timeout.isdigit() and int(timeout) > 0):
        return call.end(500, f'Header "{OURS}timeout" must be an integer greater than 0.')
    if secret and headers.get(OURS + "secret") != secret:
        return call.end(500, f'Unauthorized. Provide correct "{OURS}secret" header.')
    if timeout:
        clock.watch(call, int(timeout))
    body = connection.body()
    if body is None:
        return call.end(413, "The body is larger than 20 MiB.")

    current.set(call)
    try:
        main = load()
    except BaseException as error:
        return call.fail(error, 503)
    try:
        output = main(Context(call, request, path, query_string, body))
        if hasattr(output, "__await__"):
            output = loop.run(output)
        call.respond(output)
    except BaseException as error:
        call.fail(error)
    finally:
        current.set(None)


class Call:
    """One run of the function: its log entries, and what comes of it."""

    def __init__(self, connection, logging, id):
        self.connection = connection
        self.id = (id or ("dev" if is_development else new_id())) if logging == "enabled" else ""
        self.lock = threading.Lock()
        self.is_answered = False
        self.is_over = False
        # What was printed and has no line break yet; None before anything was.
        self.printed = None

    def log(self, *values):
        self.entry("logs", " ".join(map(shown, values)))

    def error(self, *values):
        self.entry("errors", " ".join(map(shown, values)))

    def print(self, text):
        if self.printed is None:
            self.log(NOTICE)
            self.printed = ""
        *lines, self.printed = (self.printed + text).split("\n")
        for line in lines:
            self.entry("logs", line)

    def entry(self, stream, text):
        if self.is_over or not self.id:
            return
        if len(text) > ENTRY_CHARS_MAX:
            text = text[:ENTRY_CHARS_MAX] + CUT
        text = text.encode("utf-8", "replace").decode()
        frame(f'{{"id":{quoted(self.id)},"stream":"{stream}","text":{quoted(text)}}}\n')

    def close(self):
        if self.printed:
            self.entry("logs", self.printed)
        if not self.is_over and self.id:
            frame(f'{{"id":{quoted(self.id)},"end":true}}\n')
        self.is_over = True

    def respond(self, output):
        if output is None:
            return self.fail(NO_RETURN)
        status = int(output.get("statusCode", 200))
        if not 200 <= status <= 599:
            raise ValueError(f"A status is a number from 200 to 599, not {status}.")
        self.end(status, output.get("body", ""), output.get("headers") or {})

    def fail(self, error, status=500):
        if not self.is_answered:
            self.error(error)
            self.end(status, "")

    def end(self, status, body, given={}):
        """Once: the function and the clock may both come to an end."""
        headers = []
        content_type = "text/plain"
        for key, values in given.items():
            name = key.lower()
            if name.startswith(OURS) or name in wire.FRAMING:
                continue
            for value in values if isinstance(values, (list, tuple)) else [values]:
                if name == "content-type":
                    content_type = str(value).lower()
                else:
                    headers.append((name, str(value)))
        if not content_type.startswith("multipart/") and "charset=" not in content_type:
            content_type += "; charset=utf-8"
        headers += [("content-type", content_type), (OURS + "log-id", self.id)]
        head = wire.head(status, headers)
        with self.lock:
            if self.is_answered:
                return
            self.is_answered = True
        if hasattr(body, "__anext__"):
            body = loop.all(body)
        if hasattr(body, "__next__"):
            return self.connection.stream(status, head, body, self)
        self.close()
        self.connection.send(status, head, as_bytes(body))


class Context:
    def __init__(self, call, request, path, query_string, body):
        self.req = Request(request, path, query_string, body)
        self.res = Response
        self.log = call.log
        self.error = call.error


class Request:
    def __init__(self, request, path, query_string, body):
        headers = request.headers
        self.method = request.method
        self.headers = {name: value for name, value in headers.items() if not name.startswith(OURS)}
        self.headers.update(enforced)
        self.scheme = headers.get("x-forwarded-proto") or "http"
        usual = 443 if self.scheme == "https" else 80
        self.host, colon, port = headers.get("host", "").rpartition(":")
        if not colon or (port and not port.isdigit()):
            self.host, port = headers.get("host", ""), ""
        self.port = int(port or usual)
        self.path = path
        self.query = {}
        for pair in query_string.split("&"):
            key, _, value = pair.partition("=")
            if key:
                self.query[key] = value
        self.query_string = query_string
        port = "" if self.port == usual else f":{self.port}"
        self.url = f"{self.scheme}://{self.host}{port}{path}{query_string and '?'}{query_string}"
        self.body_binary = body

    @property
    def body_text(self):
        return self.body_binary.decode("utf-8", "replace")

    @property
    def body_json(self):
        import json

        return json.loads(self.body_text)

    @property
    def body_raw(self):
        return self.body_text

    @property
    def body(self):
        if not self.headers.get("content-type", "").lower().startswith("application/json"):
            return self.body_text
        return self.body_json if self.body_binary else {}


class Response:
    """The names of the arguments are part of the contract."""

    @staticmethod
    def text(body, statusCode=200, headers={}):
        return Response.binary(body if is_stream(body) else str(body), statusCode, headers)

    @staticmethod
    def json(obj, statusCode=200, headers={}):
        import json

        body = json.dumps(obj, separators=(",", ":"), ensure_ascii=False)
        return Response.binary(body, statusCode, {**headers, "content-type": "application/json"})

    @staticmethod
    def binary(bytes, statusCode=200, headers={}):
        return {"body": bytes, "statusCode": statusCode, "headers": headers}

    @staticmethod
    def empty():
        return Response.binary("", 204, {})

    @staticmethod
    def redirect(url, statusCode=301, headers={}):
        return Response.binary("", statusCode, {**headers, "location": url})

    send = text


class Printed(io.TextIOBase):
    """Standard output, or error: what a call prints belongs to the call."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, text):
        call = current.get()
        if call is None or call.is_over:
            return self.stream.write(text)
        call.print(text)
        return len(text)

    def flush(self):
        self.stream.flush()

    def __getattr__(self, name):
        return getattr(self.stream, name)


class Clock:
    """Ends the waiting, not the code: what loops is ended by whoever launched this server."""

    def __init__(self):
        self.calls = {}
        self.some = threading.Event()
        self.is_running = False

    def watch(self, call, seconds):
        if not self.is_running:
            self.is_running = True
            threading.Thread(target=self.run, daemon=True).start()
        self.calls[call] = time.monotonic() + seconds
        self.some.set()

    def run(self):
        while True:
            self.some.wait()
            self.some.clear()
            while self.calls:
                time.sleep(CLOCK_SECONDS)
                now = time.monotonic()
                for call, until in list(self.calls.items()):
                    if not call.is_answered and now >= until:
                        # The connection is given up: its thread is still with the function.
                        call.connection.is_last = True
                        call.fail("Execution timed out.")
                    if call.is_answered:
                        del self.calls[call]


class Loop:
    """One event loop for all that is asynchronous, made when the first coroutine comes."""

    lock = threading.Lock()
    loop = None

    def run(self, coroutine):
        import asyncio

        with self.lock:
            if self.loop is None:
                self.loop = asyncio.new_event_loop()
                threading.Thread(target=self.loop.run_forever, daemon=True).start()
        return asyncio.run_coroutine_threadsafe(awaited(coroutine), self.loop).result()

    def all(self, chunks):
        nothing = object()
        while (chunk := self.run(anext(chunks, nothing))) is not nothing:
            yield chunk


async def awaited(coroutine):
    return await coroutine


clock, loop = Clock(), Loop()
loading = threading.Lock()
loaded = None


def load():
    """The user's function. It is a module of a package, so that its relative imports work; what failed is tried again."""
    global loaded
    if loaded:
        return loaded
    with loading:
        if not os.path.exists(os.path.join(folder, entrypoint)):
            raise Missing(f"Failed to load entrypoint, file {entrypoint} does not exist.")
        package = type(sys)("function")
        package.__path__ = [folder]
        sys.modules["function"] = package
        name = "function." + entrypoint.removesuffix(".py").replace("/", ".")
        module = __import__(name, fromlist=["main"])
        if not callable(getattr(module, "main", None)):
            raise Missing(f"Failed to load entrypoint, {entrypoint} has no function `main`.")
        loaded = module.main
    return loaded


class Missing(Exception):
    """Told without a stack."""


def is_stream(body):
    return hasattr(body, "__next__") or hasattr(body, "__anext__")


def as_bytes(body):
    return bytes(body) if isinstance(body, (bytes, bytearray, memoryview)) else str(body).encode()


def shown(value):
    if isinstance(value, Missing):
        return str(value)
    if isinstance(value, BaseException):
        import traceback

        return "".join(traceback.format_exception(value)).rstrip()
    if isinstance(value, (dict, list, tuple)):
        import json

        try:
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
        except ValueError:
            return repr(value)
    return str(value)


def timings():
    try:
        with open(os.environ["EVERFOLD_TIMINGS"], "rb") as file:
            return file.read()
    except (KeyError, OSError):
        return b""


def new_id():
    """When, to the microsecond, and by chance: 20 hexadecimal digits."""
    seconds, micros = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{seconds:08x}{micros:05x}{os.urandom(4).hex()[:7]}"


def enforced_headers(text):
    if not text:
        return {}
    import json

    try:
        pairs = json.loads(text).items()
    except (ValueError, AttributeError):
        return {}
    return {name.lower(): value if isinstance(value, str) else json.dumps(value) for name, value in pairs}


def frame(line):
    """A line of the log: one write each, so that none is torn."""
    if logs is not None:
        rest = line.encode()
        while rest:
            rest = rest[os.write(logs, rest) :]


PLAIN = [("content-type", "text/plain; charset=utf-8")]
