package io.openruntimes.kotlin

import java.io.InputStream

/** The ways to answer: Java's, whose arguments have names and may be left out. */
class RuntimeResponse {
    private val java = io.openruntimes.java.RuntimeResponse()

    fun binary(bytes: ByteArray, statusCode: Int = 200, headers: Map<String, String> = mapOf()): RuntimeOutput =
        java.binary(bytes, statusCode, headers)

    fun text(body: String, statusCode: Int = 200, headers: Map<String, String> = mapOf()): RuntimeOutput =
        java.text(body, statusCode, headers)

    fun send(body: String, statusCode: Int = 200, headers: Map<String, String> = mapOf()): RuntimeOutput =
        java.send(body, statusCode, headers)

    fun json(json: Map<String, Any?>, statusCode: Int = 200, headers: Map<String, String> = mapOf()): RuntimeOutput =
        java.json(json, statusCode, headers)

    fun empty(): RuntimeOutput = java.empty()

    fun redirect(url: String, statusCode: Int = 301, headers: Map<String, String> = mapOf()): RuntimeOutput =
        java.redirect(url, statusCode, headers)

    /** Sends what is read as soon as it is read. */
    fun stream(body: InputStream, statusCode: Int = 200, headers: Map<String, String> = mapOf()): RuntimeOutput =
        java.stream(body, statusCode, headers)
}
