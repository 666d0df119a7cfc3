package io.openruntimes.kotlin.src

class empty
