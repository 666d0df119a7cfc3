package io.openruntimes.kotlin

import java.util.function.BiConsumer

/** What was asked is in Java as in Kotlin: `getBodyText()` there is `bodyText` here. */
typealias RuntimeRequest = io.openruntimes.java.RuntimeRequest
typealias RuntimeOutput = io.openruntimes.java.RuntimeOutput

/** One run of a function. Entries go to `log`, under "logs" or "errors". */
class RuntimeContext(val req: RuntimeRequest, private val log: BiConsumer<String, Array<out Any?>>) {
    val res = RuntimeResponse()

    fun log(vararg messages: Any?) = log.accept("logs", messages)

    fun error(vararg messages: Any?) = log.accept("errors", messages)
}
