/** The seed of this run's harnesses; another one tries other moments. */
export const seed = Number(process.env["CANDOR_TEST_SEED"] ?? 20_260_101);

/** Draws from 0 up to below its argument (mulberry32, a public domain generator). */
export function seededRandom(from: number): (below: number) => number {
  let drawn = from;
  return (below) => {
    drawn = (drawn + 0x6d2b79f5) | 0;
    let mixed = Math.imul(drawn ^ (drawn >>> 15), drawn | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
