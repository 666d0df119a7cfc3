package io.openruntimes.java;

import java.util.function.BiConsumer;

/** One run of a function. */
public class RuntimeContext {
    private final RuntimeRequest req;
    private final RuntimeResponse res = new RuntimeResponse();
    private final BiConsumer<String, Object[]> log;

    /** Entries go to {@code log}, under "logs" or "errors". */
    public RuntimeContext(RuntimeRequest req, BiConsumer<String, Object[]> log) {
        this.req = req;
        this.log = log;
    }

    public RuntimeRequest getReq() {
        return req;
    }

    public RuntimeResponse getRes() {
        return res;
    }

    public void log(Object... values) {
        log.accept("logs", values);
    }

    public void error(Object... values) {
        log.accept("errors", values);
    }
}
