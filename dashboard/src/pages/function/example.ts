/** A first function in each language that needs nothing but itself, packed here as anybody would pack it. */

import type { UserFunction } from "../../api/types.ts";

const JAVASCRIPT = `export default async ({ req, res, log }) => {
  log("asked for", req.path);
  return res.json({ hello: req.query.name ?? "world" });
};
`;

const PYTHON = `def main(context):
    context.log("asked for", context.req.path)
    name = context.req.query.get("name", "world")
    return context.res.json({"hello": name})
`;

const PHP = `<?php
return function ($context) {
    $context->log('asked for ' . $context->req->path);
    return $context->res->json(['hello' => $context->req->query['name'] ?? 'world']);
};
`;

const RUBY = `def main(context)
  context.log("asked for #{context.req.path}")
  context.res.json({ hello: context.req.query["name"] || "world" })
end
`;

const GO = `package handler

import "github.com/open-runtimes/types-for-go/v4/openruntimes"

func Main(Context openruntimes.Context) openruntimes.Response {
	Context.Log("asked for", Context.Req.Path)
	return Context.Res.Json(map[string]interface{}{"hello": "world"})
}
`;

const JAVA = `package io.openruntimes.java.src;

import io.openruntimes.java.RuntimeContext;
import io.openruntimes.java.RuntimeOutput;
import java.util.Map;

public class Main {
    public RuntimeOutput main(RuntimeContext context) throws Exception {
        context.log("asked for " + context.getReq().getPath());
        return context.getRes().json(Map.of("hello", "world"));
    }
}
`;

const KOTLIN = `package io.openruntimes.kotlin.src

import io.openruntimes.kotlin.RuntimeContext
import io.openruntimes.kotlin.RuntimeOutput

class Main {
    fun main(context: RuntimeContext): RuntimeOutput {
        context.log("asked for", context.req.path)
        return context.res.json(mapOf("hello" to (context.req.query["name"] ?: "world")))
    }
}
`;

const PAGE = `<!doctype html>
<title>Hello</title>
<h1>Hello, world</h1>
`;

const EXAMPLES: Record<string, readonly [entrypoint: string, code: string]> = {
  node: ["index.js", JAVASCRIPT],
  bun: ["index.js", JAVASCRIPT],
  deno: ["index.js", JAVASCRIPT],
  python: ["main.py", PYTHON],
  php: ["index.php", PHP],
  ruby: ["main.rb", RUBY],
  go: ["main.go", GO],
  java: ["Main.java", JAVA],
  kotlin: ["Main.kt", KOTLIN],
  static: ["index.html", PAGE],
};

export interface Example {
  entrypoint: string;
  code: string;
  pack: () => Promise<File>;
}

/** Nothing where there is none. */
export function exampleOf({ runtime, entrypoint: own }: UserFunction): Example | undefined {
  const example = EXAMPLES[runtime];
  if (!example) return undefined;
  const [usual, code] = example;
  const entrypoint = own ?? usual;
  // Node takes a module for one by what stands beside it.
  const beside: [string, string][] = runtime === "node" ? [["package.json", '{ "type": "module" }\n']] : [];
  return { entrypoint, code, pack: () => packed([[entrypoint, code], ...beside]) };
}

const BLOCK_BYTES = 512;

/** A tar.gz of a few small files. */
async function packed(files: readonly (readonly [path: string, text: string])[]): Promise<File> {
  const blocks = files.flatMap(([path, text]) => {
    const content = new TextEncoder().encode(text);
    return [headerOf(path, content.length), padded(content)];
  });
  const tar = new Blob([...blocks, new Uint8Array(2 * BLOCK_BYTES)]);
  const gzipped = await new Response(tar.stream().pipeThrough(new CompressionStream("gzip"))).blob();
  return new File([gzipped], "example.tar.gz", { type: "application/gzip" });
}

function padded(content: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(Math.ceil(content.length / BLOCK_BYTES) * BLOCK_BYTES);
  whole.set(content);
  return whole;
}

/** As POSIX has it: fields at their places, numbers in octal digits. */
function headerOf(path: string, bytes: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(BLOCK_BYTES);
  const put = (at: number, text: string) => header.set(new TextEncoder().encode(text), at);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  put(0, path);
  put(100, octal(0o644, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(bytes, 11));
  put(136, octal(0, 11));
  put(156, "0");
  put(257, "ustar");
  put(263, "00");
  // The sum is taken with blanks where it will stand.
  put(148, " ".repeat(8));
  const sum = header.reduce((sum, byte) => sum + byte, 0);
  put(148, `${octal(sum, 6)}\0`);
  return header;
}
