/** Scripts to begin with. */

import type { Where } from "../../api/types.ts";
import pi from "../../../../examples/jobs/pi.js?raw";

export interface Example {
  name: string;
  code: string;
  input: string;
  isFannedOut: boolean;
  where: Where;
}

const PRIMES = `// Primes below a bound
//
// A job is a script and an input. It runs once, on whatever is open: this tab, another one, or the server.
// What is returned is its result; what is written to the console comes back, and so does how far it is.
const { below } = input;
const isOut = new Uint8Array(below);
let primes = 0;
let largest;
for (let n = 2; n < below; n++) {
  if (n % 100_000 === 0) progress(n, below, \`\${primes} so far\`);
  if (isOut[n]) continue;
  primes++;
  largest = n;
  for (let multiple = n * n; multiple < below; multiple += n) isOut[multiple] = 1;
}
console.log(\`the largest of \${primes} primes is \${largest}\`);
return { below, primes, largest };
`;

const WORDS = `// The longest word of each line
async function main(line) {
  const words = line.split(/\\W+/);
  return words.reduce((longest, word) => (word.length > longest.length ? word : longest));
}
`;

const TILES = Array.from({ length: 16 }, (_, tile) => JSON.stringify({ tile, across: 4, points: 500_000 }));

export const EXAMPLES: readonly [Example, ...Example[]] = [
  { name: "Primes below a bound", code: PRIMES, input: '{ "below": 5000000 }', isFannedOut: false, where: "any" },
  {
    name: "Pi by chance, with a picture",
    code: pi,
    input: `[\n  ${TILES.join(",\n  ")}\n]`,
    isFannedOut: true,
    where: "tab",
  },
  {
    name: "The longest word of each line",
    code: WORDS,
    input: '[\n  "It was the best of times",\n  "it was the age of foolishness"\n]',
    isFannedOut: true,
    where: "any",
  },
];
