package everfold

import io.openruntimes.kotlin.RuntimeContext
import io.openruntimes.kotlin.RuntimeOutput
import java.util.concurrent.LinkedBlockingQueue
import kotlin.coroutines.AbstractCoroutineContextElement
import kotlin.coroutines.Continuation
import kotlin.coroutines.ContinuationInterceptor
import kotlin.coroutines.intrinsics.suspendCoroutineUninterceptedOrReturn
import kotlin.coroutines.startCoroutine

/** Java's server, for functions in Kotlin: `fun main(context)` or `suspend fun main(context)`. */
internal object Kotlin : Language {
    @JvmStatic
    fun main(words: Array<String>) {
        Server.language = this
        Server.main(words)
    }

    override fun function(made: Any): Language.Function {
        val context = RuntimeContext::class.java
        val type = made.javaClass
        try {
            val main = type.getMethod("main", context, Continuation::class.java)
            return Language.Function { request, log ->
                Here().run {
                    suspendCoroutineUninterceptedOrReturn { main.invoke(made, RuntimeContext(request, log), it) }
                }
            }
        } catch (none: NoSuchMethodException) {
            val main = type.getMethod("main", context)
            return Language.Function { request, log ->
                main.invoke(made, RuntimeContext(request, log)) as RuntimeOutput?
            }
        }
    }

    /** Whatever a function waits for, it goes on in the thread it began in: what that prints belongs to its call. */
    private class Here : AbstractCoroutineContextElement(ContinuationInterceptor), ContinuationInterceptor {
        private val steps = LinkedBlockingQueue<() -> Unit>()

        override fun <T> interceptContinuation(continuation: Continuation<T>) =
            Continuation<T>(continuation.context) { result -> steps.put { continuation.resumeWith(result) } }

        fun run(function: suspend () -> Any?): RuntimeOutput? {
            var end: Result<Any?>? = null
            function.startCoroutine(Continuation(this) { end = it })
            while (end == null) steps.take()()
            return end!!.getOrThrow() as RuntimeOutput?
        }
    }
}
