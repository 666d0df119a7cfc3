package everfold;

import static everfold.Call.OURS;

import com.google.gson.Gson;
import io.openruntimes.java.RuntimeContext;
import io.openruntimes.java.RuntimeOutput;
import io.openruntimes.java.RuntimeRequest;
import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The server of functions in Java and Kotlin: a thread for each connection. The contract is in runtimes/README.md. */
public final class Server {
    private static final Pattern PACKAGE = Pattern.compile("(?m)^\\s*package\\s+([\\w.]+)");

    /** Told without a stack. */
    private static final class Missing extends Exception {
        Missing(String why) {
            super(why);
        }
    }

    private static final ExecutorService THREADS = Executors.newCachedThreadPool();
    private static final String ENTRYPOINT = variable("OPEN_RUNTIMES_ENTRYPOINT", "Main.java");
    private static final Path FOLDER = Path.of(variable("EVERFOLD_FUNCTION", "."));
    private static final Map<String, String> ENFORCED = enforcedHeaders(variable("OPEN_RUNTIMES_HEADERS", ""));
    private static String secret;
    private static OutputStream logs;
    private static Language.Function function;
    /** Before it is launched, another may take its place. */
    static Language language = Server::inJava;

    public static void main(String[] words) throws IOException {
        String line = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)).readLine();
        secret = line == null ? "" : line.strip();
        String file = variable("EVERFOLD_LOGS", "");
        logs = file.isEmpty() ? OutputStream.nullOutputStream() : new FileOutputStream(file, true);
        ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listener.bind(UnixDomainSocketAddress.of(System.getenv("EVERFOLD_SOCKET")));
        System.out.println("HTTP server successfully started!");
        System.setOut(new PrintStream(new Printed(System.out), true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(new Printed(System.err), true, StandardCharsets.UTF_8));
        for (;;) {
            SocketChannel channel = listener.accept();
            THREADS.execute(() -> new Connection(channel).serve(Server::answer));
        }
    }

    /** A line of the log: one write each, so that none is torn. */
    static synchronized void frame(String line) {
        try {
            logs.write(line.getBytes(StandardCharsets.UTF_8));
        } catch (IOException gone) {
            // Nobody is there to be told.
        }
    }

    private static void answer(Connection asked) throws IOException {
        int mark = asked.target.indexOf('?');
        String path = mark < 0 ? asked.target : asked.target.substring(0, mark);
        if (path.equals("/__opr/health") || path.equals("/__opr/timings")) {
            StringBuilder head = new StringBuilder("content-type: text/plain; charset=utf-8\r\n");
            asked.reply(200, head, path.endsWith("health") ? "OK".getBytes(StandardCharsets.UTF_8) : timings());
            return;
        }
        Map<String, String> headers = asked.headers;
        String logging = headers.getOrDefault(OURS + "logging", "enabled");
        Call call = new Call(asked, logging, headers.getOrDefault(OURS + "log-id", ""));
        String timeout = headers.getOrDefault(OURS + "timeout", "");
        if (!timeout.isEmpty() && !timeout.matches("0*[1-9][0-9]{0,8}")) {
            call.end(500, "Header \"" + OURS + "timeout\" must be an integer greater than 0.");
            return;
        }
        if (!secret.isEmpty() && !secret.equals(headers.get(OURS + "secret"))) {
            call.end(500, "Unauthorized. Provide correct \"" + OURS + "secret\" header.");
            return;
        }
        byte[] body = asked.body();
        if (body == null) {
            call.end(413, "The body is larger than 20 MiB.");
            return;
        }
        Call.CURRENT.set(call);
        try {
            load();
        } catch (Throwable error) {
            call.fail(error instanceof Missing ? error.getMessage() : error, 503);
            return;
        } finally {
            Call.CURRENT.remove();
        }
        String queryString = mark < 0 ? "" : asked.target.substring(mark + 1);
        run(call, request(asked, path, queryString, body), timeout);
    }

    /** In a thread that can be given up when the time is over. */
    private static void run(Call call, RuntimeRequest request, String timeout) throws IOException {
        Future<RuntimeOutput> running = THREADS.submit(() -> {
            Call.CURRENT.set(call);
            try {
                return function.answer(request, call::log);
            } finally {
                Call.CURRENT.remove();
            }
        });
        try {
            long seconds = timeout.isEmpty() ? Long.MAX_VALUE : Long.parseLong(timeout);
            call.respond(running.get(seconds, TimeUnit.SECONDS));
        } catch (TimeoutException late) {
            running.cancel(true);
            call.fail("Execution timed out.", 500);
        } catch (java.util.concurrent.ExecutionException thrown) {
            Throwable cause = thrown.getCause();
            call.fail(cause instanceof InvocationTargetException ? cause.getCause() : cause, 500);
        } catch (InterruptedException never) {
            Thread.currentThread().interrupt();
        }
    }

    private static RuntimeRequest request(Connection asked, String path, String queryString, byte[] body) {
        Map<String, String> shown = new LinkedHashMap<>(asked.headers);
        shown.keySet().removeIf(name -> name.startsWith(OURS));
        shown.putAll(ENFORCED);
        String scheme = asked.headers.getOrDefault("x-forwarded-proto", "");
        String address = asked.headers.getOrDefault("host", "");
        return new RuntimeRequest(
                asked.method, address, scheme.isEmpty() ? "http" : scheme, path, queryString, shown, body);
    }

    /** The class is named as its file; its package is read from there. */
    private static synchronized void load() throws Throwable {
        if (function != null) return;
        Path file = FOLDER.resolve(ENTRYPOINT);
        if (!Files.isRegularFile(file)) throw new Missing("Failed to load entrypoint, file " + ENTRYPOINT + " does not exist.");
        Matcher itsPackage = PACKAGE.matcher(Files.readString(file));
        String name = file.getFileName().toString().replaceFirst("\\.\\w+$", "");
        Class<?> itsClass = Class.forName(itsPackage.find() ? itsPackage.group(1) + "." + name : name);
        Object made = itsClass.getDeclaredConstructor().newInstance();
        try {
            function = language.function(made);
        } catch (NoSuchMethodException none) {
            throw new Missing("Failed to load entrypoint, " + ENTRYPOINT + " has no method main(RuntimeContext).");
        }
    }

    private static Language.Function inJava(Object made) throws NoSuchMethodException {
        Method main = made.getClass().getMethod("main", RuntimeContext.class);
        return (request, log) -> (RuntimeOutput) main.invoke(made, new RuntimeContext(request, log));
    }

    /** Standard output, or error: what a call prints belongs to the call. */
    private static final class Printed extends OutputStream {
        private final PrintStream stream;

        Printed(PrintStream stream) {
            this.stream = stream;
        }

        @Override
        public void write(int letter) {
            write(new byte[] {(byte) letter}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int at, int length) {
            Call call = Call.CURRENT.get();
            if (call == null || !call.print(new String(bytes, at, length, StandardCharsets.UTF_8))) stream.write(bytes, at, length);
        }
    }

    private static byte[] timings() throws IOException {
        Path file = Path.of(variable("EVERFOLD_TIMINGS", "/nonexistent"));
        return Files.isRegularFile(file) ? Files.readAllBytes(file) : new byte[0];
    }

    private static Map<String, String> enforcedHeaders(String text) {
        Map<String, String> enforced = new LinkedHashMap<>();
        if (!text.isEmpty()) {
            com.google.gson.JsonObject given = new Gson().fromJson(text, com.google.gson.JsonObject.class);
            given.entrySet().forEach(header -> enforced.put(header.getKey().toLowerCase(), header.getValue().getAsString()));
        }
        return enforced;
    }

    private static String variable(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }
}
