// Pi by chance, with a picture
//
// A square, cut into tiles: each input is one of them. Points are thrown into it at random, and those within the
// quarter of a circle are counted. Four times their share is pi: over all tiles, its mean.
// Run it once for each of: {"tile": 0, "across": 4, "points": 500000}, {"tile": 1, …}, … {"tile": 15, …}
const { tile, across, points } = input;
const PIXELS = 64;
const DRAWN = 1_500;
const left = tile % across;
const top = Math.floor(tile / across);

// Seeded, so that whoever runs this tile comes to the same.
let seed = tile + 1;
function random() {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}

const pixels = new Uint8Array(PIXELS * PIXELS);
let hits = 0;
for (let thrown = 0; thrown < points; thrown++) {
  const [right, down] = [random(), random()];
  const x = (left + right) / across;
  const y = 1 - (top + down) / across;
  const isHit = x * x + y * y <= 1;
  if (isHit) hits++;
  // As many as the eye can tell apart.
  if (thrown < DRAWN) pixels[Math.floor(down * PIXELS) * PIXELS + Math.floor(right * PIXELS)] = isHit ? 1 : 2;
  if (thrown % 50_000 === 0) progress(thrown, points);
}
console.log(`tile ${tile}: ${hits} of ${points} are within`);
return { points, hits, pi: (4 * hits) / points, image: png(pixels, PIXELS) };

// A picture of at most 255 pixels a side, as a PNG that is not compressed: so this runs wherever JavaScript does.
function png(pixels, size) {
  const colours = [0xf2, 0xf2, 0xf5, 0x4f, 0x46, 0xe5, 0xc9, 0xcb, 0xd8];
  const rows = [];
  for (let row = 0; row < size; row++) rows.push(0, ...pixels.subarray(row * size, (row + 1) * size));
  let [one, two] = [1, 0];
  for (const byte of rows) {
    one = (one + byte) % 65521;
    two = (two + one) % 65521;
  }
  const length = [rows.length & 255, rows.length >> 8];
  const stored = [0x78, 1, 1, ...length, ...length.map((byte) => byte ^ 255), ...rows, ...bytes(two * 65536 + one)];
  const file = [
    ...[0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10],
    ...chunk("IHDR", [0, 0, 0, size, 0, 0, 0, size, 8, 3, 0, 0, 0]),
    ...chunk("PLTE", colours),
    ...chunk("IDAT", stored),
    ...chunk("IEND", []),
  ];
  return `data:image/png;base64,${btoa(file.map((byte) => String.fromCharCode(byte)).join(""))}`;
}

function chunk(name, content) {
  const named = [...[...name].map((letter) => letter.charCodeAt(0)), ...content];
  let sum = -1;
  for (const byte of named) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return [...bytes(content.length), ...named, ...bytes(~sum)];
}

function bytes(number) {
  return [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255];
}
