// What the table test asks for, by the header `x-action`: everfold/tests/runtimes.rs.
package io.openruntimes.kotlin.src

import io.openruntimes.kotlin.RuntimeContext
import io.openruntimes.kotlin.RuntimeOutput
import java.io.ByteArrayInputStream
import java.io.IOException
import java.io.InputStream
import java.io.SequenceInputStream

class Main {
    fun main(context: RuntimeContext): RuntimeOutput? {
        val req = context.req
        val res = context.res
        when (req.headers["x-action"]) {
            "request" -> return res.json(
                mapOf(
                    "method" to req.method,
                    "scheme" to req.scheme,
                    "host" to req.host,
                    "port" to req.port,
                    "path" to req.path,
                    "query" to req.query,
                    "queryString" to req.queryString,
                    "url" to req.url,
                    "headers" to req.headers,
                ),
            )
            "text" -> return res.text(req.bodyText)
            "json" -> return res.json(mapOf("json" to whole(req.bodyJson)))
            "body" -> return res.json(mapOf("body" to whole(req.body), "raw" to req.bodyRaw))
            "binary" -> return res.binary(req.bodyBinary)
            "length" -> return res.text("${req.bodyBinary.size}")
            "created" -> {
                val headers = mapOf("X-Upper" to "Kept", "X-Open-Runtimes-Mine" to "dropped", "Content-Length" to "1")
                return res.text("made", 201, headers)
            }
            "html" -> return res.text("<p>", headers = mapOf("content-type" to "TEXT/HTML"))
            "charset" -> return res.text("<p>", headers = mapOf("content-type" to "text/html; charset=latin1"))
            "multipart" -> return res.text("--b--", headers = mapOf("content-type" to "multipart/mixed; boundary=b"))
            "cookies" -> return res.text("").repeated("set-cookie", "a=1", "b=2")
            "split" -> return res.text("", headers = mapOf("x-one" to "a\r\nx-two: b"))
            "status" -> return res.text("", statusCode = 1000)
            "empty" -> return res.empty()
            "body204" -> return res.text("not sent", 204)
            "redirect" -> return res.redirect("https://everfold.test/there")
            "redirect307" -> return res.redirect("/there", 307, mapOf("x-why" to "moved"))
            "throw" -> throw Exception("thrown on purpose")
            "nothing" -> return null
            "sleep" -> {
                Thread.sleep(3000)
                return res.text("late")
            }
            "logs" -> {
                context.log("plain", 1, true, mapOf("a" to listOf(1)))
                context.error("bad")
                context.error(Exception("told"))
                return res.text("logged")
            }
            "long" -> {
                context.log("é".repeat(8000))
                context.log("é".repeat(8001))
                return res.text("logged")
            }
            "native" -> {
                println("to the console 1")
                System.err.println("as an error")
                return res.text("printed")
            }
            "stdout" -> {
                print("to stdout\n")
                System.err.print("to stderr")
                return res.text("printed")
            }
            "concurrent" -> {
                for (part in listOf("first", "second")) {
                    context.log("${req.bodyText} $part")
                    println("${req.bodyText} printed $part")
                    Thread.sleep(200)
                }
                return res.text(req.bodyText)
            }
            "stream" -> {
                context.log("in the stream")
                val parts = SequenceInputStream("one,".byteInputStream(), Late { "two".byteInputStream() })
                return res.stream(parts, headers = mapOf("content-type" to "text/event-stream"))
            }
            "broken" -> {
                val breaks = Late { throw IOException("broken on purpose") }
                return res.stream(SequenceInputStream("1".byteInputStream(), breaks))
            }
            "environment" -> return res.json(mapOf("all" to System.getenv()))
            else -> return res.text("Hello")
        }
    }

    /** What Gson reads as 1.0 where 1 was written. */
    private fun whole(value: Any?): Any? =
        when {
            value is Double && value % 1 == 0.0 -> value.toLong()
            value is List<*> -> value.map(::whole)
            value is Map<*, *> -> value.mapValues { whole(it.value) }
            else -> value
        }

    /** What comes a second after it is asked for. */
    private class Late(private val make: () -> ByteArrayInputStream) : InputStream() {
        private val made by lazy {
            Thread.sleep(1000)
            make()
        }

        override fun read() = made.read()

        override fun read(into: ByteArray, at: Int, size: Int) = made.read(into, at, size)
    }
}
