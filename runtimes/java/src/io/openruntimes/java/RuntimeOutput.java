package io.openruntimes.java;

import java.io.InputStream;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What the function returns. Of body and stream, the one that is there is sent. */
public class RuntimeOutput {
    private final byte[] body;
    private final InputStream stream;
    private final int statusCode;
    private final Map<String, String> headers;
    private final Map<String, List<String>> repeated = new TreeMap<>();

    public RuntimeOutput(byte[] body, int statusCode, Map<String, String> headers) {
        this(body, null, statusCode, headers);
    }

    RuntimeOutput(byte[] body, InputStream stream, int statusCode, Map<String, String> headers) {
        this.body = body;
        this.stream = stream;
        this.statusCode = statusCode;
        this.headers = headers;
    }

    /** A header that is sent once for each value, as Set-Cookie is. */
    public RuntimeOutput repeated(String name, String... values) {
        repeated.put(name, List.of(values));
        return this;
    }

    public byte[] getBody() {
        return body;
    }

    public InputStream getStream() {
        return stream;
    }

    public int getStatusCode() {
        return statusCode;
    }

    public Map<String, String> getHeaders() {
        return headers;
    }

    public Map<String, List<String>> getRepeated() {
        return repeated;
    }
}
