package io.openruntimes.kotlin.src

import io.openruntimes.kotlin.RuntimeContext
import io.openruntimes.kotlin.RuntimeOutput
import kotlinx.coroutines.delay

class waiting {
    suspend fun main(context: RuntimeContext): RuntimeOutput {
        println("before")
        delay(10)
        println("after")
        if (context.req.bodyText == "throw") throw Exception("thrown after it waited")
        return context.res.text("waited")
    }
}
