package io.openruntimes.java;

import com.google.gson.GsonBuilder;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/** The ways to answer. */
public class RuntimeResponse {
    public RuntimeOutput binary(byte[] body, int status, Map<String, String> headers) {
        return new RuntimeOutput(body, status, headers);
    }

    public RuntimeOutput binary(byte[] body, int status) {
        return binary(body, status, Map.of());
    }

    public RuntimeOutput binary(byte[] body) {
        return binary(body, 200);
    }

    public RuntimeOutput text(String body, int status, Map<String, String> headers) {
        return binary(body.getBytes(StandardCharsets.UTF_8), status, headers);
    }

    public RuntimeOutput text(String body, int status) {
        return text(body, status, Map.of());
    }

    public RuntimeOutput text(String body) {
        return text(body, 200);
    }

    public RuntimeOutput send(String body, int status, Map<String, String> headers) {
        return text(body, status, headers);
    }

    public RuntimeOutput send(String body, int status) {
        return text(body, status);
    }

    public RuntimeOutput send(String body) {
        return text(body);
    }

    public RuntimeOutput json(Map<String, Object> value, int status, Map<String, String> headers) {
        String body = new GsonBuilder().serializeNulls().disableHtmlEscaping().create().toJson(value);
        return text(body, status, with(headers, "content-type", "application/json"));
    }

    public RuntimeOutput json(Map<String, Object> value, int status) {
        return json(value, status, Map.of());
    }

    public RuntimeOutput json(Map<String, Object> value) {
        return json(value, 200);
    }

    public RuntimeOutput empty() {
        return text("", 204);
    }

    public RuntimeOutput redirect(String url, int status, Map<String, String> headers) {
        return text("", status, with(headers, "location", url));
    }

    public RuntimeOutput redirect(String url, int status) {
        return redirect(url, status, Map.of());
    }

    public RuntimeOutput redirect(String url) {
        return redirect(url, 301);
    }

    /** Sends what is read as soon as it is read. */
    public RuntimeOutput stream(InputStream body, int status, Map<String, String> headers) {
        return new RuntimeOutput(null, body, status, headers);
    }

    private static Map<String, String> with(Map<String, String> headers, String name, String value) {
        Map<String, String> more = new HashMap<>(headers);
        more.put(name, value);
        return more;
    }
}
