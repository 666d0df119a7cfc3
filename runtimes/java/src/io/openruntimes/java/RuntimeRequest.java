package io.openruntimes.java;

import com.google.gson.Gson;
import com.google.gson.JsonSyntaxException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What was asked. */
public class RuntimeRequest {
    /** A name or an address, and its port. */
    private static final Pattern HOST = Pattern.compile("(.*?)(?::([0-9]{0,5}))?");

    private final String method, scheme, host, path, queryString, url;
    private final int port;
    private final Map<String, String> headers, query = new LinkedHashMap<>();
    private final byte[] body;

    /** {@code headers} are those that the function is shown. */
    public RuntimeRequest(
            String method, String address, String scheme, String path, String queryString, Map<String, String> headers, byte[] body) {
        this.method = method;
        this.scheme = scheme;
        this.path = path;
        this.queryString = queryString;
        this.headers = headers;
        this.body = body;
        Matcher parts = HOST.matcher(address);
        parts.matches();
        int usual = scheme.equals("https") ? 443 : 80;
        host = parts.group(1);
        port = parts.group(2) == null || parts.group(2).isEmpty() ? usual : Integer.parseInt(parts.group(2));
        for (String pair : queryString.split("&")) {
            String[] keyAndValue = pair.split("=", 2);
            if (!keyAndValue[0].isEmpty()) query.put(keyAndValue[0], keyAndValue.length == 2 ? keyAndValue[1] : "");
        }
        String shownPort = port == usual ? "" : ":" + port;
        url = scheme + "://" + host + shownPort + path + (queryString.isEmpty() ? "" : "?" + queryString);
    }

    public String getMethod() {
        return method;
    }

    public String getScheme() {
        return scheme;
    }

    public String getHost() {
        return host;
    }

    public int getPort() {
        return port;
    }

    public String getPath() {
        return path;
    }

    public Map<String, String> getQuery() {
        return query;
    }

    public String getQueryString() {
        return queryString;
    }

    public String getUrl() {
        return url;
    }

    public Map<String, String> getHeaders() {
        return headers;
    }

    public byte[] getBodyBinary() {
        return body;
    }

    public String getBodyText() {
        return new String(body, StandardCharsets.UTF_8);
    }

    public String getBodyRaw() {
        return getBodyText();
    }

    @SuppressWarnings("unchecked")
    public Map<String, Object> getBodyJson() {
        if (body.length == 0) throw new JsonSyntaxException("The body is empty.");
        return new Gson().fromJson(getBodyText(), Map.class);
    }

    /** What the content type says it is. */
    public Object getBody() {
        if (!headers.getOrDefault("content-type", "").toLowerCase().startsWith("application/json")) return getBodyText();
        return body.length == 0 ? new HashMap<String, Object>() : getBodyJson();
    }
}
