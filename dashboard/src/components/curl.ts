/** A request as a person writes it: its headers one a line, and the whole of it for curl. */

export function headersOf(lines: string): [string, string][] {
  return lines.split("\n").flatMap((line) => {
    const colon = line.indexOf(":");
    return colon > 0 ? [[line.slice(0, colon).trim(), line.slice(colon + 1).trim()] as [string, string]] : [];
  });
}

/** One word of a shell, whatever is in it. */
export const quoted = (text: string) => (/^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export function curlOf(address: string, method: string, headers: string, body: string | undefined): string {
  const words = ["curl"];
  if (method !== (body === undefined ? "GET" : "POST")) words.push("-X", method);
  for (const [name, value] of headersOf(headers)) words.push("-H", quoted(`${name}: ${value}`));
  if (body !== undefined) words.push("--data-binary", quoted(body));
  return [...words, quoted(address)].join(" ");
}
