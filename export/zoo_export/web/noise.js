// The seeded noise of a release: Philox4x32-10 (Salmon et al. 2011), as docs/reference/format.md of zoo writes it down.

const MULTIPLY = [0xd2511f53n, 0xcd9e8d57n];
const WEYL = [0x9e3779b9n, 0xbb67ae85n];
const MASK = 0xffffffffn;

/** Four 32-bit words from a 64-bit seed and a counter of four words, all BigInt. */
export function philox(seed, [c0, c1, c2, c3]) {
  let [k0, k1] = [seed & MASK, (seed >> 32n) & MASK];
  for (let round = 0; round < 10; round++) {
    const [first, second] = [c0 * MULTIPLY[0], c2 * MULTIPLY[1]];
    [c0, c1, c2, c3] = [(second >> 32n) ^ c1 ^ k0, second & MASK, (first >> 32n) ^ c3 ^ k1, first & MASK];
    [k0, k1] = [(k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK];
  }
  return [c0, c1, c2, c3];
}

/** `count` numbers for one sample of a seed: standard normal by the table of 65,536, or uniform in [0, 1). */
export function draw(distribution, count, seed, index, stream, table) {
  const drawn = new Float32Array(count);
  for (let place = 0; place < count; place += 4) {
    const words = philox(seed, [BigInt(index), BigInt(stream), 0n, BigInt(place / 4)]).map(Number);
    words.slice(0, count - place).forEach((word, offset) => {
      drawn[place + offset] = distribution === "normal" ? table[word >>> 16] : (word >>> 8) * 2 ** -24;
    });
  }
  return drawn;
}
