"""HTTP/1.1 on a Unix socket, as much of it as a proxy speaks: no pipelining, no upgrades."""

BODY_BYTES_MAX = 20 * 1024 * 1024
HEAD_BYTES_MAX = 64 * 1024
READ_BYTES = 64 * 1024

# What frames a message belongs to the server, not to user code.
FRAMING = {"connection", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade"}
NAME = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


class Refused(Exception):
    """What came is not HTTP, or more than is read of it."""


class Request:
    __slots__ = ("method", "target", "headers", "is_last")


class Connection:
    def __init__(self, socket):
        self.socket = socket
        self.rest = b""

    def serve(self, answer):
        """Answers one request after the other, for as long as the other side asks."""
        self.is_last = False
        try:
            while not self.is_last:
                request = self.request()
                if request is None:
                    break
                self.is_last = request.is_last
                answer(request, self)
                self.body()
        except Refused:
            self.reply(400, [], b"")
        except OSError:
            pass
        finally:
            self.socket.close()

    def request(self):
        while (end := self.rest.find(b"\r\n\r\n")) < 0:
            if len(self.rest) > HEAD_BYTES_MAX:
                raise Refused
            if not self.more():
                return None
        lines = self.rest[:end].decode("latin-1").split("\r\n")
        self.rest = self.rest[end + 4 :]
        request = Request()
        try:
            request.method, request.target, version = lines[0].split(" ")
        except ValueError:
            raise Refused from None
        if not version.startswith("HTTP/1."):
            raise Refused
        request.headers = headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            name = name.lower()
            if not colon or not NAME.issuperset(name):
                raise Refused
            value = value.strip(" \t")
            if name in headers:
                if name in FRAMING:
                    raise Refused
                value = headers[name] + ("; " if name == "cookie" else ", ") + value
            headers[name] = value
        connection = headers.get("connection", "").lower()
        request.is_last = connection == "close" or (version == "HTTP/1.0" and connection != "keep-alive")
        self.is_head = request.method == "HEAD"
        self.is_continue_awaited = headers.get("expect", "").lower() == "100-continue"
        self.is_chunked = "transfer-encoding" in headers
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or (self.is_chunked and "content-length" in headers):
            raise Refused
        self.length = int(length)
        self.is_read = not self.is_chunked and self.length == 0
        return request

    def body(self):
        """All of it, once; None above the bound."""
        if self.is_read:
            return b""
        self.is_read = True
        if self.is_continue_awaited:
            self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self.is_chunked:
            return self.take(self.length) if self.length <= BODY_BYTES_MAX else self.too_large()
        chunks, length = [], 0
        while size := self.chunk_size():
            length += size
            if length > BODY_BYTES_MAX:
                return self.too_large()
            chunks.append(self.take(size))
            self.line()
        while self.line():
            pass
        return b"".join(chunks)

    def too_large(self):
        self.is_last = True

    def chunk_size(self):
        try:
            return int(self.line().partition(b";")[0], 16)
        except ValueError:
            raise Refused from None

    def line(self):
        while (end := self.rest.find(b"\r\n")) < 0:
            if len(self.rest) > HEAD_BYTES_MAX or not self.more():
                raise Refused
        line, self.rest = self.rest[:end], self.rest[end + 2 :]
        return line

    def take(self, length):
        if len(self.rest) >= length:
            taken, self.rest = self.rest[:length], self.rest[length:]
            return taken
        taken = bytearray(length)
        at = len(self.rest)
        taken[:at] = self.rest
        self.rest = b""
        with memoryview(taken) as view:
            while at < length:
                read = self.socket.recv_into(view[at:])
                if read == 0:
                    raise Refused
                at += read
        return bytes(taken)

    def more(self):
        read = self.socket.recv(READ_BYTES)
        self.rest += read
        return read

    def reply(self, status, headers, body):
        self.send(status, head(status, headers), body)

    def send(self, status, head, body):
        if has_body(status):
            head += b"content-length: %d\r\n" % len(body)
        if self.is_head or not has_body(status):
            body = b""
        self.socket.sendall(head + self.last_line() + body)

    def stream(self, status, head, chunks, call):
        """Ends the log before the stream. What is thrown on the way is an error, and the reply is seen to be cut."""
        is_sent = has_body(status) and not self.is_head
        try:
            if has_body(status):
                head += b"transfer-encoding: chunked\r\n"
            self.socket.sendall(head + self.last_line())
            for chunk in chunks if is_sent else ():
                chunk = chunk if isinstance(chunk, (bytes, bytearray)) else str(chunk).encode()
                if chunk:
                    self.socket.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        except BaseException as error:
            call.error(error)
            self.is_last = True
            is_sent = False
        finally:
            call.close()
            if hasattr(chunks, "close"):
                chunks.close()
        if is_sent:
            self.socket.sendall(b"0\r\n\r\n")

    def last_line(self):
        return b"connection: close\r\n\r\n" if self.is_last else b"\r\n"


def has_body(status):
    """Whether a reply may have a body at all, and so a length."""
    return status not in (204, 205, 304)


def head(status, headers):
    """A line break in a header would begin a header of its own, or a body."""
    lines = [f"HTTP/1.1 {status} \r\n"]
    for name, value in headers:
        if not name or not NAME.issuperset(name) or any(char < " " and char != "\t" or char == "\x7f" for char in value):
            raise ValueError(f"A response header has a character that no header may have: {name!r}: {value!r}")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("latin-1")
