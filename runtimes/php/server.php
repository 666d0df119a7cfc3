<?php
// The server of functions in PHP: one request at a time, on as many connections as there are. The contract between
// Everfold and a function is in runtimes/README.md.

require __DIR__ . '/wire.php';

const ENTRY_CHARS_MAX = 8000;
const CUT = '... Log truncated due to size limit (8000 characters)';
const NOTICE = 'Native logs detected. Use context.log() or context.error() for better experience.';
const NO_RETURN = 'Return statement missing. return context.res.empty() if no response is expected.';
const OURS = 'x-open-runtimes-';
const PLAIN = ['content-type: text/plain; charset=utf-8'];
const JSON = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE;

/** Where a call is kept while its code runs. */
final class Server
{
    public static ?Call $current = null;
    public static string $folder, $entrypoint, $secret;
    public static array $enforced;
    public static mixed $logs;
    private static mixed $loaded = null;

    public static function run(): void
    {
        self::$secret = trim((string) fgets(STDIN));
        self::$folder = getenv('EVERFOLD_FUNCTION') ?: '.';
        self::$entrypoint = getenv('OPEN_RUNTIMES_ENTRYPOINT') ?: 'index.php';
        self::$enforced = enforcedHeaders(getenv('OPEN_RUNTIMES_HEADERS') ?: '');
        // PHP follows links before it opens, and that of a pipe leads nowhere.
        $logs = preg_replace('~^/proc/self/fd/([0-9]+)$~D', 'php://fd/$1', (string) getenv('EVERFOLD_LOGS'));
        self::$logs = $logs === '' ? null : fopen($logs, 'a');
        chdir(self::$folder);
        pcntl_async_signals(true);
        pcntl_signal(SIGALRM, fn() => throw new TimedOut());
        set_error_handler(self::warned(...));
        $listener = stream_socket_server('unix://' . getenv('EVERFOLD_SOCKET'));
        fwrite(STDOUT, "HTTP server successfully started!\n");
        // What the function prints belongs to its call.
        ob_start(self::printed(...), 1);
        self::serve($listener);
    }

    /** Answers whoever asks first. Idle connections wait beside each other, and cost nothing. */
    private static function serve(mixed $listener): never
    {
        $connections = [];
        for (;;) {
            $ready = [$listener, ...array_map(fn(Connection $connection) => $connection->stream, $connections)];
            $none = [];
            stream_select($ready, $none, $none, null);
            foreach ($ready as $stream) {
                if ($stream === $listener) {
                    $stream = stream_socket_accept($listener, 0);
                    $connections[get_resource_id($stream)] = new Connection($stream);
                    continue;
                }
                $connection = $connections[get_resource_id($stream)];
                if (!self::serveOne($connection)) {
                    unset($connections[get_resource_id($stream)]);
                    fclose($stream);
                }
            }
        }
    }

    /** Whether the connection is still there for another request. */
    private static function serveOne(Connection $connection): bool
    {
        try {
            if (!$connection->request()) {
                return false;
            }
            self::answer($connection);
            $connection->body();
            return !$connection->isLast;
        } catch (Broken) {
            @fwrite($connection->stream, "HTTP/1.1 400 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            return false;
        }
    }

    private static function answer(Connection $connection): void
    {
        [$path, $queryString] = explode('?', $connection->target, 2) + [1 => ''];
        if ($path === '/__opr/health') {
            $connection->reply(200, PLAIN, 'OK');
            return;
        }
        if ($path === '/__opr/timings') {
            $connection->reply(200, PLAIN, (string) @file_get_contents(getenv('EVERFOLD_TIMINGS') ?: '/dev/null'));
            return;
        }
        $headers = $connection->headers;
        $call = new Call($connection, $headers[OURS . 'logging'] ?? 'enabled', $headers[OURS . 'log-id'] ?? '');
        $timeout = $headers[OURS . 'timeout'] ?? '';
        if ($timeout !== '' && (!ctype_digit($timeout) || (int) $timeout === 0)) {
            $call->end(500, 'Header "' . OURS . 'timeout" must be an integer greater than 0.');
            return;
        }
        if (self::$secret !== '' && ($headers[OURS . 'secret'] ?? '') !== self::$secret) {
            $call->end(500, 'Unauthorized. Provide correct "' . OURS . 'secret" header.');
            return;
        }
        $body = $connection->body();
        if ($body === null) {
            $call->end(413, 'The body is larger than 20 MiB.');
            return;
        }
        self::$current = $call;
        try {
            $main = self::load();
            if (!$main instanceof Closure) {
                $call->fail($main, 503);
                return;
            }
            pcntl_alarm((int) $timeout);
            $call->respond($main(new Context($call, new Request($connection, $path, $queryString, $body))));
        } catch (Broken $broken) {
            throw $broken;
        } catch (TimedOut) {
            $call->fail('Execution timed out.');
        } catch (Throwable $error) {
            $call->fail($error);
        } finally {
            pcntl_alarm(0);
            self::$current = null;
        }
    }

    /** The function, or why there is none: a file that failed half way cannot be read a second time. */
    private static function load(): mixed
    {
        if (self::$loaded !== null) {
            return self::$loaded;
        }
        $entrypoint = self::$entrypoint;
        $file = self::$folder . '/' . $entrypoint;
        if (!is_file($file)) {
            return "Failed to load entrypoint, file $entrypoint does not exist.";
        }
        try {
            if (is_file(self::$folder . '/vendor/autoload.php')) {
                require_once self::$folder . '/vendor/autoload.php';
            }
            $main = (static fn() => require $file)();
            $isThere = is_callable($main);
            self::$loaded = $isThere ? Closure::fromCallable($main) : "Failed to load entrypoint, $entrypoint returns no function.";
        } catch (Throwable $error) {
            self::$loaded = $error;
        }
        return self::$loaded;
    }

    private static function printed(string $text): string
    {
        if (self::$current === null || self::$current->isOver) {
            return $text;
        }
        self::$current->printed($text);
        return '';
    }

    /** A warning is told, and the code goes on. */
    private static function warned(int $level, string $message, string $file, int $line): bool
    {
        if (error_reporting() & $level) {
            self::$current?->error("$message in $file:$line");
        }
        return true;
    }
}

final class TimedOut extends Exception
{
}

/** One run of the function: its log entries, and what comes of it. */
final class Call
{
    public bool $isOver = false;
    private bool $isAnswered = false;
    public readonly string $id;
    /** What was printed and has no line break yet; null before anything was. */
    private ?string $printed = null;

    public function __construct(private readonly Connection $connection, string $logging, string $id)
    {
        $isDevelopment = getenv('OPEN_RUNTIMES_ENV') === 'development';
        $this->id = $logging !== 'enabled' ? '' : ($id ?: ($isDevelopment ? 'dev' : newId()));
    }

    public function log(mixed ...$values): void
    {
        $this->entry('logs', implode(' ', array_map(shown(...), $values)));
    }

    public function error(mixed ...$values): void
    {
        $this->entry('errors', implode(' ', array_map(shown(...), $values)));
    }

    public function printed(string $text): void
    {
        if ($this->printed === null) {
            $this->log(NOTICE);
        }
        $lines = explode("\n", $this->printed . $text);
        $this->printed = array_pop($lines);
        foreach ($lines as $line) {
            $this->entry('logs', $line);
        }
    }

    private function entry(string $stream, string $text): void
    {
        if (strlen($text) > ENTRY_CHARS_MAX) {
            $text = json_decode(json_encode($text, JSON));
            if (preg_match('/^.{' . ENTRY_CHARS_MAX . '}(?=.)/us', $text, $kept)) {
                $text = $kept[0] . CUT;
            }
        }
        $this->frame(['id' => $this->id, 'stream' => $stream, 'text' => $text]);
    }

    public function close(): void
    {
        if ($this->printed) {
            $this->entry('logs', $this->printed);
        }
        $this->frame(['id' => $this->id, 'end' => true]);
        $this->isOver = true;
    }

    /** A line of the log: one write each, so that none is torn. */
    private function frame(array $entry): void
    {
        if (!$this->isOver && $this->id !== '' && Server::$logs) {
            fwrite(Server::$logs, json_encode($entry, JSON) . "\n");
        }
    }

    public function respond(mixed $output): void
    {
        if (!is_array($output)) {
            $this->fail(NO_RETURN);
            return;
        }
        $status = (int) ($output['statusCode'] ?? 200);
        if ($status < 200 || $status > 599) {
            throw new RangeException("A status is a number from 200 to 599, not $status.");
        }
        $this->end($status, $output['body'] ?? '', $output['headers'] ?? []);
    }

    public function fail(mixed $error, int $status = 500): void
    {
        if (!$this->isAnswered) {
            $this->error($error);
            $this->end($status, '');
        }
    }

    public function end(int $status, mixed $body, array $given = []): void
    {
        $lines = [];
        $contentType = 'text/plain';
        foreach ($given as $key => $values) {
            $name = strtolower($key);
            if (str_starts_with($name, OURS) || in_array($name, FRAMING)) {
                continue;
            }
            foreach (is_array($values) ? $values : [$values] as $value) {
                if ($name === 'content-type') {
                    $contentType = strtolower((string) $value);
                } else {
                    $lines[] = headerLine($name, (string) $value);
                }
            }
        }
        if (!str_starts_with($contentType, 'multipart/') && !str_contains($contentType, 'charset=')) {
            $contentType .= '; charset=utf-8';
        }
        array_push($lines, headerLine('content-type', $contentType), headerLine(OURS . 'log-id', $this->id));
        $this->isAnswered = true;
        if ($body instanceof Generator) {
            $this->connection->stream($status, $lines, $body, $this);
        } else {
            $this->close();
            $this->connection->reply($status, $lines, (string) $body);
        }
    }
}

final class Context
{
    public readonly Response $res;

    public function __construct(private readonly Call $call, public readonly Request $req)
    {
        $this->res = new Response();
    }

    public function log(mixed ...$values): void
    {
        $this->call->log(...$values);
    }

    public function error(mixed ...$values): void
    {
        $this->call->error(...$values);
    }
}

final class Request
{
    public string $method, $scheme, $host, $path, $queryString, $url;
    public int $port;
    public array $headers = [], $query = [];

    public function __construct(Connection $asked, string $path, string $queryString, public string $bodyBinary)
    {
        $this->method = $asked->method;
        foreach ($asked->headers as $name => $value) {
            if (!str_starts_with($name, OURS)) {
                $this->headers[$name] = $value;
            }
        }
        $this->headers = Server::$enforced + $this->headers;
        $this->scheme = ($asked->headers['x-forwarded-proto'] ?? '') ?: 'http';
        $usual = $this->scheme === 'https' ? 443 : 80;
        preg_match('/^(.*?)(?::([0-9]*))?$/', $asked->headers['host'] ?? '', $address);
        $this->host = $address[1];
        $this->port = (int) ($address[2] ?? '') ?: $usual;
        $this->path = $path;
        foreach (explode('&', $queryString) as $pair) {
            [$key, $value] = explode('=', $pair, 2) + [1 => ''];
            if ($key !== '') {
                $this->query[$key] = $value;
            }
        }
        $this->queryString = $queryString;
        $port = $this->port === $usual ? '' : ":$this->port";
        $this->url = "$this->scheme://$this->host$port$path" . ($queryString === '' ? '' : "?$queryString");
    }

    /** What is parsed when it is asked for. An empty object is an empty array. */
    public function __get(string $name): mixed
    {
        $isJson = str_starts_with(strtolower($this->headers['content-type'] ?? ''), 'application/json');
        return match ($name) {
            'bodyText', 'bodyRaw' => $this->bodyBinary,
            'bodyJson' => json_decode($this->bodyBinary, true, 512, JSON_THROW_ON_ERROR),
            'body' => !$isJson ? $this->bodyText : ($this->bodyBinary === '' ? [] : $this->bodyJson),
        };
    }
}

/** The names of the arguments are part of the contract. */
final class Response
{
    public function text(mixed $body, int $statusCode = 200, array $headers = []): array
    {
        return $this->binary($body, $statusCode, $headers);
    }

    public function json(mixed $obj, int $statusCode = 200, array $headers = []): array
    {
        $body = json_encode($obj, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);
        return $this->binary($body, $statusCode, ['content-type' => 'application/json'] + $headers);
    }

    public function binary(mixed $bytes, int $statusCode = 200, array $headers = []): array
    {
        return ['body' => $bytes, 'statusCode' => $statusCode, 'headers' => $headers];
    }

    public function empty(): array
    {
        return $this->binary('', 204);
    }

    public function redirect(string $url, int $statusCode = 301, array $headers = []): array
    {
        return $this->binary('', $statusCode, ['location' => $url] + $headers);
    }

    public function send(mixed $body, int $statusCode = 200, array $headers = []): array
    {
        return $this->binary($body, $statusCode, $headers);
    }
}

function shown(mixed $value): string
{
    return match (true) {
        $value instanceof Throwable, is_string($value) => (string) $value,
        default => (string) json_encode($value, JSON | JSON_PARTIAL_OUTPUT_ON_ERROR),
    };
}

/** When, to the microsecond, and by chance: 20 hexadecimal digits. */
function newId(): string
{
    [$micros, $seconds] = explode(' ', microtime());
    return sprintf('%08x%05x%07x', (int) $seconds, (int) ($micros * 1e6), random_int(0, 16 ** 7 - 1));
}

function enforcedHeaders(string $text): array
{
    $enforced = [];
    foreach ((array) (json_decode($text, true) ?? []) as $name => $value) {
        $enforced[strtolower($name)] = is_string($value) ? $value : json_encode($value, JSON);
    }
    return $enforced;
}

Server::run();
