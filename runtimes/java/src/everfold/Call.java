package everfold;

import com.google.gson.Gson;
import io.openruntimes.java.RuntimeOutput;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** One run of the function: its log entries, and what comes of it. */
final class Call {
    static final String OURS = "x-open-runtimes-";
    private static final int ENTRY_CHARS_MAX = 8000;
    private static final String CUT = "... Log truncated due to size limit (8000 characters)";
    private static final String NOTICE =
            "Native logs detected. Use context.log() or context.error() for better experience.";
    private static final String NO_RETURN =
            "Return statement missing. return context.res.empty() if no response is expected.";

    /** Which call the code of this thread belongs to; threads that it starts belong to it, too. */
    static final InheritableThreadLocal<Call> CURRENT = new InheritableThreadLocal<>();

    private final Connection connection;
    private final String id;
    private boolean isOver, isNoticed;
    /** What was printed and has no line break yet. */
    private final StringBuilder printed = new StringBuilder();

    Call(Connection connection, String logging, String id) {
        this.connection = connection;
        if (!logging.equals("enabled")) this.id = "";
        else if (!id.isEmpty()) this.id = id;
        else this.id = "development".equals(System.getenv("OPEN_RUNTIMES_ENV")) ? "dev" : newId();
    }

    void log(String stream, Object... values) {
        String text = Stream.of(values).map(Call::shown).collect(Collectors.joining(" "));
        if (text.length() > ENTRY_CHARS_MAX) text = text.substring(0, ENTRY_CHARS_MAX) + CUT;
        frame("\"stream\":\"" + stream + "\",\"text\":" + quoted(text), false);
    }

    /** Whether it could still be taken. */
    synchronized boolean print(String text) {
        if (isOver) return false;
        if (!isNoticed) log("logs", NOTICE);
        isNoticed = true;
        printed.append(text);
        for (int end; (end = printed.indexOf("\n")) >= 0; printed.delete(0, end + 1)) log("logs", printed.substring(0, end));
        return true;
    }

    void close() {
        if (printed.length() > 0) log("logs", printed.toString());
        frame("\"end\":true", true);
    }

    private synchronized void frame(String members, boolean isEnd) {
        if (!isOver && !id.isEmpty()) Server.frame("{\"id\":" + quoted(id) + "," + members + "}\n");
        isOver |= isEnd;
    }

    void respond(RuntimeOutput output) throws IOException {
        if (output == null) {
            fail(NO_RETURN, 500);
            return;
        }
        int status = output.getStatusCode();
        StringBuilder head = new StringBuilder();
        try {
            if (status < 200 || status > 599) {
                throw new IllegalArgumentException("A status is a number from 200 to 599, not " + status + ".");
            }
            Map<String, List<String>> given = new TreeMap<>(output.getRepeated());
            output.getHeaders().forEach((name, value) -> given.put(name, List.of(value)));
            lines(head, given);
        } catch (RuntimeException error) {
            fail(error, 500);
            return;
        }
        if (output.getStream() != null) {
            connection.stream(status, head, output.getStream(), this);
        } else {
            close();
            connection.reply(status, head, output.getBody());
        }
    }

    void fail(Object error, int status) throws IOException {
        log("errors", error);
        end(status, "");
    }

    void end(int status, String body) throws IOException {
        StringBuilder head = new StringBuilder();
        lines(head, Map.of());
        close();
        connection.reply(status, head, body.getBytes(StandardCharsets.UTF_8));
    }

    private void lines(StringBuilder head, Map<String, List<String>> given) {
        String contentType = "text/plain";
        for (Map.Entry<String, List<String>> header : given.entrySet()) {
            String name = header.getKey().toLowerCase();
            if (name.startsWith(OURS) || Connection.FRAMING.contains(name)) continue;
            for (String value : header.getValue()) {
                if (name.equals("content-type")) contentType = value.toLowerCase();
                else Connection.header(head, name, value);
            }
        }
        if (!contentType.startsWith("multipart/") && !contentType.contains("charset=")) contentType += "; charset=utf-8";
        Connection.header(head, "content-type", contentType);
        Connection.header(head, OURS + "log-id", id);
    }

    private static String shown(Object value) {
        if (value instanceof Throwable) {
            StringWriter stack = new StringWriter();
            ((Throwable) value).printStackTrace(new PrintWriter(stack, true));
            return stack.toString().stripTrailing();
        }
        return value instanceof Map || value instanceof Iterable ? new Gson().toJson(value) : String.valueOf(value);
    }

    private static String quoted(String text) {
        StringBuilder quoted = new StringBuilder(text.length() + 16).append('"');
        for (int at = 0; at < text.length(); at++) {
            char letter = text.charAt(at);
            if (letter == '"' || letter == '\\') quoted.append('\\').append(letter);
            else if (letter < ' ') quoted.append(String.format("\\u%04x", (int) letter));
            else quoted.append(letter);
        }
        return quoted.append('"').toString();
    }

    /** When, to the microsecond, and by chance: 20 hexadecimal digits. */
    private static String newId() {
        Instant now = Instant.now();
        int chance = ThreadLocalRandom.current().nextInt(1 << 28);
        return String.format("%08x%05x%07x", now.getEpochSecond(), now.getNano() / 1000, chance);
    }
}
