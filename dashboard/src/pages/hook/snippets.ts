/** How a key is used from elsewhere: its address, and a few lines of each language. */

import type { Key } from "../../api/types.ts";

export const LANGUAGES = {
  curl: "curl",
  javascript: "JavaScript",
  python: "Python",
  websocket: "WebSocket",
} as const;
export type Language = keyof typeof LANGUAGES;

export function languagesOf({ type }: Key): Language[] {
  return type === "read" ? ["curl", "javascript", "python", "websocket"] : ["curl", "javascript", "python"];
}

export function urlOf({ type, key }: Key): string {
  return `${location.origin}/${type}/${key}`;
}

export function snippetOf(key: Key, language: Language): string {
  return (key.type === "write" ? writing(urlOf(key)) : reading(urlOf(key), key.key))[language];
}

function writing(url: string): Record<Language, string> {
  return {
    curl: `curl ${url} --json '{"hello": "world"}'`,
    javascript: `const response = await fetch("${url}", {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ hello: "world" }),
});
console.log(response.status, await response.json());`,
    python: `import json
from urllib.request import Request, urlopen

request = Request(
    "${url}",
    data=json.dumps({"hello": "world"}).encode(),
    headers={"content-type": "application/json"},
)
with urlopen(request) as response:
    print(response.status, json.load(response))`,
    websocket: "",
  };
}

function reading(url: string, key: string): Record<Language, string> {
  const events = `${location.origin.replace(/^http/, "ws")}/state-events?readKey=${key}`;
  return {
    curl: `curl ${url}

# as of request 7
curl '${url}?at=7'`,
    javascript: `const response = await fetch("${url}");
console.log(await response.json());`,
    python: `import json
from urllib.request import urlopen

with urlopen("${url}") as response:
    print(json.load(response))`,
    websocket: `const socket = new WebSocket("${events}");
socket.onmessage = ({ data }) => {
  if (data === "ping") return socket.send("pong");
  const { seq, state } = JSON.parse(data);
  console.log(seq, state);
};`,
  };
}
