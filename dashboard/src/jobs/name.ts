/** What a script is called. */

const NAME_CHARACTERS_MAX = 60;

/** The comment that it begins with. */
export function nameOf(code: string): string | undefined {
  const words = /^\s*\/\/\s*(.*)/.exec(code)?.[1]?.trim();
  return words ? words.slice(0, NAME_CHARACTERS_MAX) : undefined;
}
