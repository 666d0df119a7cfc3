package everfold;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** HTTP/1.1 on a Unix socket, as much of it as a proxy speaks: no pipelining, no upgrades. */
final class Connection extends InputStream {
    static final int BODY_BYTES_MAX = 20 << 20;
    private static final int HEAD_BYTES_MAX = 64 << 10;
    private static final int READ_BYTES = 64 << 10;

    /** What frames a message belongs to the server, not to user code. */
    static final Set<String> FRAMING =
            Set.of("connection", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade");

    private static final Pattern REQUEST = Pattern.compile("(\\S+) (\\S+) HTTP/1\\.([01])");
    private static final Pattern NAME = Pattern.compile("[!#$%&'*+\\-.^_`|~0-9a-z]+");
    private static final Pattern VALUE = Pattern.compile("[^\\x00-\\x08\\x0a-\\x1f\\x7f]*");

    /** What came is not HTTP, or more than is read of it. */
    static final class Refused extends IOException {}

    interface Answer {
        void to(Connection asked) throws IOException;
    }

    String method, target;
    Map<String, String> headers;
    volatile boolean isLast;

    private final SocketChannel channel;
    private final ByteBuffer buffer = ByteBuffer.allocate(READ_BYTES).flip();
    private boolean isChunked, isRead;
    private long length;

    Connection(SocketChannel channel) {
        this.channel = channel;
    }

    /** Answers one request after the other, for as long as the other side asks. */
    void serve(Answer answer) {
        try (channel) {
            try {
                while (!isLast && request()) {
                    answer.to(this);
                    body();
                }
            } catch (Refused refused) {
                write("HTTP/1.1 400 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
            }
        } catch (IOException gone) {
            // Nobody is there to be told.
        }
    }

    private boolean request() throws IOException {
        if (!buffer.hasRemaining() && !more()) return false;
        int[] left = {HEAD_BYTES_MAX};
        Matcher first = REQUEST.matcher(line(left));
        if (!first.matches()) throw new Refused();
        method = first.group(1);
        target = first.group(2);
        headers = new LinkedHashMap<>();
        for (String line; !(line = line(left)).isEmpty(); ) {
            int colon = line.indexOf(':');
            if (colon < 0) throw new Refused();
            String name = line.substring(0, colon).toLowerCase(), value = line.substring(colon + 1).strip();
            if (!NAME.matcher(name).matches() || (headers.containsKey(name) && FRAMING.contains(name))) throw new Refused();
            headers.merge(name, value, (one, two) -> one + (name.equals("cookie") ? "; " : ", ") + two);
        }
        isChunked = headers.containsKey("transfer-encoding");
        String given = headers.get("content-length");
        if (given != null && (isChunked || !given.matches("[0-9]{1,15}"))) throw new Refused();
        length = given == null ? 0 : Long.parseLong(given);
        isRead = !isChunked && length == 0;
        String connection = headers.getOrDefault("connection", "");
        isLast = connection.equalsIgnoreCase("close") || (first.group(3).equals("0") && !connection.equalsIgnoreCase("keep-alive"));
        return true;
    }

    /** All of it, once; null above the bound. */
    byte[] body() throws IOException {
        if (isRead) return new byte[0];
        isRead = true;
        if ("100-continue".equalsIgnoreCase(headers.get("expect"))) {
            write("HTTP/1.1 100 Continue\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
        }
        if (!isChunked) return length > BODY_BYTES_MAX ? tooLarge() : whole((int) length);
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        for (int size; (size = chunkBytes()) > 0; line(new int[] {HEAD_BYTES_MAX})) {
            if (size > BODY_BYTES_MAX - body.size()) return tooLarge();
            body.write(whole(size));
        }
        while (!line(new int[] {HEAD_BYTES_MAX}).isEmpty()) {
            // A trailer is not asked for.
        }
        return body.toByteArray();
    }

    void reply(int status, StringBuilder head, byte[] body) throws IOException {
        boolean hasBody = hasBody(status);
        if (hasBody) head.append("content-length: ").append(body.length).append("\r\n");
        head(status, head, hasBody && !method.equals("HEAD") ? body : new byte[0]);
    }

    /** Ends the log before the stream. What fails on the way is an error, and the reply is seen to be cut. */
    void stream(int status, StringBuilder head, InputStream chunks, Call call) throws IOException {
        boolean hasBody = hasBody(status), isSent = hasBody && !method.equals("HEAD");
        if (hasBody) head.append("transfer-encoding: chunked\r\n");
        head(status, head, new byte[0]);
        try (chunks) {
            byte[] part = new byte[READ_BYTES];
            for (int size; isSent && (size = chunks.read(part)) >= 0; ) {
                if (size == 0) continue;
                ByteArrayOutputStream chunk = new ByteArrayOutputStream(size + 16);
                chunk.write((Integer.toHexString(size) + "\r\n").getBytes(StandardCharsets.ISO_8859_1));
                chunk.write(part, 0, size);
                chunk.write('\r');
                chunk.write('\n');
                write(chunk.toByteArray());
            }
        } catch (Throwable error) {
            call.log("errors", error);
            isLast = true;
            isSent = false;
        }
        call.close();
        if (isSent) write("0\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
    }

    static boolean hasBody(int status) {
        return status != 204 && status != 205 && status != 304;
    }

    /** A line break in a header would begin a header of its own, or a body. */
    static void header(StringBuilder head, String name, String value) {
        if (!NAME.matcher(name).matches() || !VALUE.matcher(value).matches()) {
            throw new IllegalArgumentException("A response header has a character that no header may have: " + name + ": " + value);
        }
        head.append(name).append(": ").append(value).append("\r\n");
    }

    private void head(int status, StringBuilder lines, byte[] body) throws IOException {
        if (isLast) lines.append("connection: close\r\n");
        byte[] head = ("HTTP/1.1 " + status + " \r\n" + lines + "\r\n").getBytes(StandardCharsets.ISO_8859_1);
        ByteBuffer[] parts = {ByteBuffer.wrap(head), ByteBuffer.wrap(body)};
        while (parts[0].hasRemaining() || parts[1].hasRemaining()) channel.write(parts);
    }

    private void write(byte[] bytes) throws IOException {
        for (ByteBuffer rest = ByteBuffer.wrap(bytes); rest.hasRemaining(); ) channel.write(rest);
    }

    private byte[] tooLarge() {
        isLast = true;
        return null;
    }

    private int chunkBytes() throws IOException {
        String size = line(new int[] {HEAD_BYTES_MAX}).split(";", 2)[0];
        if (!size.matches("[0-9a-fA-F]{1,7}")) throw new Refused();
        return Integer.parseInt(size, 16);
    }

    /** Up to the next line break, with what may still be read before it. */
    private String line(int[] left) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int letter; (letter = read()) != '\n'; line.append((char) letter)) {
            if (letter < 0 || --left[0] < 0) throw new Refused();
        }
        int end = line.length() - 1;
        if (end < 0 || line.charAt(end) != '\r') throw new Refused();
        return line.substring(0, end);
    }

    private byte[] whole(int size) throws IOException {
        byte[] whole = new byte[size];
        if (readNBytes(whole, 0, size) < size) throw new Refused();
        return whole;
    }

    @Override
    public int read() throws IOException {
        return buffer.hasRemaining() || more() ? buffer.get() & 0xff : -1;
    }

    @Override
    public int read(byte[] into, int at, int size) throws IOException {
        if (!buffer.hasRemaining() && !more()) return -1;
        int taken = Math.min(size, buffer.remaining());
        buffer.get(into, at, taken);
        return taken;
    }

    private boolean more() throws IOException {
        buffer.clear();
        boolean isSome = channel.read(buffer) > 0;
        buffer.flip();
        return isSome;
    }
}
