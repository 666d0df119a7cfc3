/** What is meant by a few typed words: everything that holds them all, the likeliest first. */

/** What a thing is found by. */
export interface Words {
  name: string;
  /** Found by these, too, but its name says more. */
  more: string;
}

export function sought<Thing>(things: readonly Thing[], typed: string, wordsOf: (thing: Thing) => Words): Thing[] {
  const wanted = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const ranked = things.flatMap((thing) => {
    const { name, more } = wordsOf(thing);
    const [short, long] = [name.toLowerCase(), `${name} ${more}`.toLowerCase()];
    return wanted.every((word) => long.includes(word)) ? [{ thing, rank: rankOf(short, wanted) }] : [];
  });
  return ranked.sort((one, other) => one.rank - other.rank).map(({ thing }) => thing);
}

/** 0 begins so, 1 has a word that begins so, 2 holds it somewhere, 3 only what is said about it does. */
function rankOf(name: string, wanted: readonly string[]): number {
  const first = wanted[0] ?? "";
  if (name.startsWith(first)) return 0;
  if (name.split(/[\s/_-]+/).some((word) => word.startsWith(first))) return 1;
  return name.includes(first) ? 2 : 3;
}
