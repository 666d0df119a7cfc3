package everfold;

import io.openruntimes.java.RuntimeOutput;
import io.openruntimes.java.RuntimeRequest;
import java.util.function.BiConsumer;

/** How the function is found in an object of the user's class. */
interface Language {
    interface Function {
        /** Entries go to {@code log}, under "logs" or "errors". */
        RuntimeOutput answer(RuntimeRequest request, BiConsumer<String, Object[]> log) throws Exception;
    }

    Function function(Object made) throws NoSuchMethodException;
}
