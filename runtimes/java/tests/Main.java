// What the table test asks for, by the header `x-action`: everfold/tests/runtimes.rs.
package io.openruntimes.java.src;

import io.openruntimes.java.RuntimeContext;
import io.openruntimes.java.RuntimeOutput;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

public class Main {
    public RuntimeOutput main(RuntimeContext context) throws Exception {
        var req = context.getReq();
        var res = context.getRes();
        switch (req.getHeaders().getOrDefault("x-action", "")) {
            case "request":
                Map<String, Object> request = new HashMap<>();
                request.put("method", req.getMethod());
                request.put("scheme", req.getScheme());
                request.put("host", req.getHost());
                request.put("port", req.getPort());
                request.put("path", req.getPath());
                request.put("query", req.getQuery());
                request.put("queryString", req.getQueryString());
                request.put("url", req.getUrl());
                request.put("headers", req.getHeaders());
                return res.json(request);
            case "text":
                return res.text(req.getBodyText());
            case "json":
                return res.json(Map.of("json", whole(req.getBodyJson())));
            case "body":
                return res.json(Map.of("body", whole(req.getBody()), "raw", req.getBodyRaw()));
            case "binary":
                return res.binary(req.getBodyBinary());
            case "length":
                return res.text(String.valueOf(req.getBodyBinary().length));
            case "created":
                return res.text("made", 201, Map.of("X-Upper", "Kept", "X-Open-Runtimes-Mine", "dropped", "Content-Length", "1"));
            case "html":
                return res.text("<p>", 200, Map.of("content-type", "TEXT/HTML"));
            case "charset":
                return res.text("<p>", 200, Map.of("content-type", "text/html; charset=latin1"));
            case "multipart":
                return res.text("--b--", 200, Map.of("content-type", "multipart/mixed; boundary=b"));
            case "cookies":
                return res.text("").repeated("set-cookie", "a=1", "b=2");
            case "split":
                return res.text("", 200, Map.of("x-one", "a\r\nx-two: b"));
            case "status":
                return res.text("", 1000);
            case "empty":
                return res.empty();
            case "body204":
                return res.text("not sent", 204);
            case "redirect":
                return res.redirect("https://everfold.test/there");
            case "redirect307":
                return res.redirect("/there", 307, Map.of("x-why", "moved"));
            case "throw":
                throw new Exception("thrown on purpose");
            case "nothing":
                return null;
            case "sleep":
                Thread.sleep(3000);
                return res.text("late");
            case "logs":
                context.log("plain", 1, true, Map.of("a", List.of(1)));
                context.error("bad");
                context.error(new Exception("told"));
                return res.text("logged");
            case "long":
                context.log("é".repeat(8000));
                context.log("é".repeat(8001));
                return res.text("logged");
            case "native":
                System.out.println("to the console 1");
                System.err.println("as an error");
                return res.text("printed");
            case "stdout":
                System.out.print("to stdout\n");
                System.err.print("to stderr");
                return res.text("printed");
            case "concurrent":
                for (String part : List.of("first", "second")) {
                    context.log(req.getBodyText() + " " + part);
                    System.out.println(req.getBodyText() + " printed " + part);
                    Thread.sleep(200);
                }
                return res.text(req.getBodyText());
            case "stream":
                context.log("in the stream");
                return res.stream(new Parts("one,", "two", false), 200, Map.of("content-type", "text/event-stream"));
            case "broken":
                return res.stream(new Parts("1", "", true), 200, Map.of());
            case "environment":
                return res.json(Map.of("all", System.getenv()));
            default:
                return res.text("Hello");
        }
    }

    /** What Gson reads as 1.0 where 1 was written. */
    private static Object whole(Object value) {
        if (value instanceof Double && (Double) value % 1 == 0) return ((Double) value).longValue();
        if (value instanceof List) return ((List<?>) value).stream().map(Main::whole).collect(Collectors.toList());
        if (!(value instanceof Map)) return value;
        Map<String, Object> whole = new LinkedHashMap<>();
        ((Map<?, ?>) value).forEach((name, member) -> whole.put((String) name, whole(member)));
        return whole;
    }

    /** One part, and after a second another, or none. */
    private static final class Parts extends InputStream {
        private final String second;
        private final boolean breaks;
        private InputStream part;
        private int number = 0;

        Parts(String first, String second, boolean breaks) {
            this.part = new ByteArrayInputStream(first.getBytes());
            this.second = second;
            this.breaks = breaks;
        }

        @Override
        public int read(byte[] into, int at, int size) throws IOException {
            int read = part.read(into, at, size);
            if (read >= 0 || number++ > 0) return read;
            if (breaks) throw new IOException("broken on purpose");
            try {
                Thread.sleep(1000);
            } catch (InterruptedException end) {
                return -1;
            }
            part = new ByteArrayInputStream(second.getBytes());
            return part.read(into, at, size);
        }

        @Override
        public int read() {
            throw new UnsupportedOperationException();
        }
    }
}
