<?php
// HTTP/1.1 on a Unix socket, as much of it as a proxy speaks: no pipelining, no upgrades.

const BODY_BYTES_MAX = 20 * 1024 * 1024;
const HEAD_BYTES_MAX = 64 * 1024;
const READ_BYTES = 64 * 1024;
/** How long the rest of a request that has begun may let this server wait, which answers nobody else meanwhile. */
const READ_SECONDS_MAX = 30;

/** What frames a message belongs to the server, not to user code. */
const FRAMING = ['connection', 'content-length', 'keep-alive', 'trailer', 'transfer-encoding', 'upgrade'];
const NAME = '/^[!#$%&\'*+\-.^_`|~0-9a-z]+$/D';
const VALUE = '/^[^\x00-\x08\x0a-\x1f\x7f]*$/D';

/** The other side is gone, or what it said is not HTTP. */
final class Broken extends Exception
{
}

final class Connection
{
    public string $method, $target;
    public array $headers;
    public bool $isLast = false;
    private string $rest = '';
    private bool $isChunked, $isRead;
    private int $length;

    public function __construct(public readonly mixed $stream)
    {
        stream_set_timeout($stream, READ_SECONDS_MAX);
        stream_set_read_buffer($stream, 0);
    }

    /** Reads the head of the next request, or says that there is none. */
    public function request(): bool
    {
        while (($end = strpos($this->rest, "\r\n\r\n")) === false) {
            if (strlen($this->rest) > HEAD_BYTES_MAX) {
                throw new Broken('The head is too long.');
            }
            $read = fread($this->stream, READ_BYTES);
            if ($read === '' || $read === false) {
                return false;
            }
            $this->rest .= $read;
        }
        $lines = explode("\r\n", substr($this->rest, 0, $end));
        $this->rest = substr($this->rest, $end + 4);
        if (!preg_match('/^(\S+) (\S+) HTTP\/1\.([01])$/D', array_shift($lines), $first)) {
            throw new Broken('Not a request.');
        }
        [, $this->method, $this->target, $minor] = $first;
        $this->headers = [];
        foreach ($lines as $line) {
            [$name, $value] = explode(':', $line, 2) + [1 => null];
            $name = strtolower($name);
            if ($value === null || !preg_match(NAME, $name)) {
                throw new Broken('Not a header.');
            }
            $value = trim($value, " \t");
            if (isset($this->headers[$name])) {
                if (in_array($name, FRAMING)) {
                    throw new Broken('Twice what can be once.');
                }
                $value = $this->headers[$name] . ($name === 'cookie' ? '; ' : ', ') . $value;
            }
            $this->headers[$name] = $value;
        }
        $this->isChunked = isset($this->headers['transfer-encoding']);
        $length = $this->headers['content-length'] ?? null;
        if ($length !== null && (!ctype_digit($length) || $this->isChunked)) {
            throw new Broken('No length.');
        }
        $this->length = (int) $length;
        $this->isRead = !$this->isChunked && $this->length === 0;
        $connection = strtolower($this->headers['connection'] ?? '');
        $this->isLast = $connection === 'close' || ($minor === '0' && $connection !== 'keep-alive');
        return true;
    }

    /** All of it, once; null above the bound. */
    public function body(): ?string
    {
        if ($this->isRead) {
            return '';
        }
        $this->isRead = true;
        if (strtolower($this->headers['expect'] ?? '') === '100-continue') {
            $this->write("HTTP/1.1 100 Continue\r\n\r\n");
        }
        if (!$this->isChunked) {
            return $this->length > BODY_BYTES_MAX ? $this->tooLarge() : $this->take($this->length);
        }
        $body = '';
        while (($size = $this->chunkBytes()) > 0) {
            if (strlen($body) + $size > BODY_BYTES_MAX) {
                return $this->tooLarge();
            }
            $body .= $this->take($size);
            $this->line();
        }
        while ($this->line() !== '');
        return $body;
    }

    public function reply(int $status, array $lines, string $body): void
    {
        if (hasBody($status)) {
            $lines[] = 'content-length: ' . strlen($body);
        }
        $this->head($status, $lines, $this->method === 'HEAD' || !hasBody($status) ? '' : $body);
    }

    /** Ends the log before the stream. What is thrown on the way is an error, and the reply is seen to be cut. */
    public function stream(int $status, array $lines, Generator $chunks, Call $call): void
    {
        $isSent = hasBody($status) && $this->method !== 'HEAD';
        if (hasBody($status)) {
            $lines[] = 'transfer-encoding: chunked';
        }
        $this->head($status, $lines, '');
        try {
            foreach ($isSent ? $chunks : [] as $chunk) {
                $chunk = (string) $chunk;
                if ($chunk !== '') {
                    $this->write(dechex(strlen($chunk)) . "\r\n$chunk\r\n");
                }
            }
            $call->close();
            if ($isSent) {
                $this->write("0\r\n\r\n");
            }
        } catch (Throwable $error) {
            $call->error($error);
            $call->close();
            $this->isLast = true;
        }
    }

    private function head(int $status, array $lines, string $body): void
    {
        if ($this->isLast) {
            $lines[] = 'connection: close';
        }
        $this->write("HTTP/1.1 $status \r\n" . implode("\r\n", $lines) . "\r\n\r\n" . $body);
    }

    private function write(string $bytes): void
    {
        for ($at = 0; $at < strlen($bytes); $at += $written) {
            $written = @fwrite($this->stream, $at ? substr($bytes, $at) : $bytes);
            if (!$written) {
                throw new Broken('The other side is gone.');
            }
        }
    }

    private function tooLarge(): ?string
    {
        $this->isLast = true;
        return null;
    }

    private function chunkBytes(): int
    {
        $size = explode(';', $this->line())[0];
        if (!preg_match('/^[0-9a-fA-F]{1,8}$/D', $size)) {
            throw new Broken('Not a chunk.');
        }
        return hexdec($size);
    }

    private function line(): string
    {
        while (($end = strpos($this->rest, "\r\n")) === false) {
            if (strlen($this->rest) > HEAD_BYTES_MAX) {
                throw new Broken('Not a line.');
            }
            $this->more();
        }
        $line = substr($this->rest, 0, $end);
        $this->rest = substr($this->rest, $end + 2);
        return $line;
    }

    private function take(int $length): string
    {
        while (strlen($this->rest) < $length) {
            $this->more();
        }
        $taken = substr($this->rest, 0, $length);
        $this->rest = substr($this->rest, $length);
        return $taken;
    }

    private function more(): void
    {
        $read = fread($this->stream, READ_BYTES);
        if ($read === '' || $read === false) {
            throw new Broken('The request was broken off.');
        }
        $this->rest .= $read;
    }
}

/** Whether a reply may have a body at all, and so a length. */
function hasBody(int $status): bool
{
    return !in_array($status, [204, 205, 304]);
}

/** A line break in a header would begin a header of its own, or a body. */
function headerLine(string $name, string $value): string
{
    if (!preg_match(NAME, $name) || !preg_match(VALUE, $value)) {
        throw new ValueError("A response header has a character that no header may have: $name: " . json_encode($value));
    }
    return "$name: $value";
}
