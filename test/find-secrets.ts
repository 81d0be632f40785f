import { redactText } from "#base/errors/index.ts";

/** Sums of files and migrations that we ship, and the hash that is compared where there is no user, by their beginning. */
const knownSums = ["53aa51172d14", "2887bb6fd96f", "d54884d806a7", "pNhhdiZbgCP9"];

/** What a secret that a test planted says of itself, and no real one does; and names of metrics, which begin as our keys do. */
const planted =
  /abcd|canary|hunter|12345|(.)\1{5}|^candor_[a-z_]+$|:\/\/u:p@|:\/\/(?:user)?:secret|\.test[:/]/i;

/** Ids are no secrets. */
const id = /^[a-z]{3}_[0-9A-HJKMNP-TV-Z]{26}$/;

/** The path of an address; a sum in base 64 has no words between its slashes. */
const address = /\/[a-z]{3,}\//;

/** Nothing but sums, words of a model, and what a test's secrets are once encrypted. */
const unread =
  /^package-lock\.json$|(?:^|\/)SHA256SUMS$|^assets\/|^test\/fixtures\/sops\/.*\.json$/;

/** Bits per character from which on a text counts as drawn at random, where letters of both cases and digits are mixed. */
const randomBits = 3.8;

/**
 * What in a line of a committed file looks like a secret: the shapes that are redacted from logs, and long words that look drawn
 * at random.
 */
export function findSecrets(path: string, line: string): string[] {
  if (unread.test(path)) return [];
  // Parted at "=" and "::" so that a name in front of a value is not what makes it a secret.
  const words = line.split(/[\s"'`,;(){}<>|\\=]+|::/).filter((word) => word.length >= 12);
  const shaped = words.filter((word) => redactText(word) !== word);
  const random = words
    .flatMap((word) => word.match(/[A-Za-z0-9+/_-]{24,}/g) ?? [])
    .filter((word) => isRandom(word) && !id.test(word) && !address.test(word));
  const keys = line.match(/-----BEGIN [A-Z ]*PRIVATE KEY-----(?:$|\\n[A-Za-z0-9+/]{16})/g) ?? [];
  return [...shaped, ...random, ...keys].filter(
    (word) => !planted.test(word) && !knownSums.some((sum) => word.includes(sum)),
  );
}

/** Bytes in hexadecimal, or letters of both cases mixed with digits without a pattern. */
function isRandom(word: string): boolean {
  if (/^[0-9a-f]{32,}$/i.test(word)) return bitsPerCharacter(word) > 3;
  const parts = [/[a-z]/, /[A-Z]/, /\d/].filter((part) => part.test(word));
  // Names and paths change between kinds of characters seldom.
  const changes = word.match(/[a-z](?=[A-Z\d])|[A-Z](?=\d)|\d(?=[A-Za-z])/g)?.length ?? 0;
  return parts.length === 3 && changes >= word.length / 5 && bitsPerCharacter(word) > randomBits;
}

/** The entropy of a word's own characters (Shannon 1948). */
function bitsPerCharacter(word: string): number {
  const counts = new Map<string, number>();
  for (const character of word) counts.set(character, (counts.get(character) ?? 0) + 1);
  return [...counts.values()].reduce((bits, count) => {
    const share = count / word.length;
    return bits - share * Math.log2(share);
  }, 0);
}
