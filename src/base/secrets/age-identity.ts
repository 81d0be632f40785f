import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";

/** A private key that opens age files: X25519 (https://age-encryption.org/v1). */
export type AgeIdentity = { readonly privateKey: KeyObject; readonly publicKey: Uint8Array };

/** What a text of identities holds, and what is wrong with it, by line; never the line's content. */
export type ReadIdentities = {
  readonly identities: readonly AgeIdentity[];
  readonly faults: readonly string[];
};

const prefix = "AGE-SECRET-KEY-1";

/** Identities as `age-keygen` writes them: one per line, `#` begins a comment. */
export function readIdentities(text: string): ReadIdentities {
  const identities: AgeIdentity[] = [];
  const faults: string[] = [];
  for (const [index, written] of text.split("\n").entries()) {
    const line = written.trim();
    if (line === "" || line.startsWith("#")) continue;
    const secret = line.toUpperCase().startsWith(prefix) ? decodeBech32(line) : null;
    if (secret?.length === 32) identities.push(toIdentity(secret));
    else faults.push(`line ${index + 1} ${whatItIs(line)}`);
  }
  return { identities, faults };
}

function whatItIs(line: string): string {
  const upper = line.toUpperCase();
  if (upper.startsWith(prefix)) return "is a damaged age identity";
  if (/^(?:AGE-SECRET-KEY-PQ-|AGE-PLUGIN-)/.test(upper))
    return "is an age identity of a kind that Candor does not open; it opens X25519, which begins with AGE-SECRET-KEY-1";
  if (/BEGIN AGE ENCRYPTED FILE/.test(upper))
    return "begins an encrypted identity; Candor asks for no passphrase, so name a decrypted one";
  if (/BEGIN [A-Z ]*PRIVATE KEY/.test(upper))
    return "begins an SSH or other private key; Candor opens age identities, which age-keygen makes";
  return "is no age identity, which begins with AGE-SECRET-KEY-1";
}

/** The DER around a raw X25519 key (RFC 8410). */
const pkcs8 = Buffer.from("302e020100300506032b656e04220420", "hex");
const spki = Buffer.from("302a300506032b656e032100", "hex");

function toIdentity(secret: Uint8Array): AgeIdentity {
  const der = Buffer.concat([pkcs8, secret]);
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const exported = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return { privateKey, publicKey: exported.subarray(spki.length) };
}

/** The public key of an X25519 share, 32 bytes. */
export function toPublicKey(share: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([spki, share]), format: "der", type: "spki" });
}

const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

/** The bytes of a Bech32 text (BIP 173, without its limit on length), or null where the checksum or a character is wrong. */
function decodeBech32(text: string): Uint8Array | null {
  if (text !== text.toUpperCase() && text !== text.toLowerCase()) return null;
  const lower = text.toLowerCase();
  const split = lower.lastIndexOf("1");
  const name = [...Buffer.from(lower.slice(0, split), "latin1")];
  const values = Array.from(lower.slice(split + 1), (letter) => alphabet.indexOf(letter));
  if (values.length < 6 || values.includes(-1)) return null;
  const spread = [...name.map((code) => code >> 5), 0, ...name.map((code) => code & 31)];
  if (checksum([...spread, ...values]) !== 1) return null;
  return joinBits(values.slice(0, -6));
}

function checksum(values: readonly number[]): number {
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    for (const [bit, word] of generator.entries()) if ((top >> bit) & 1) sum ^= word;
  }
  return sum >>> 0;
}

/** Groups of five bits as bytes; what is left over must be fewer than five zero bits. */
function joinBits(groups: readonly number[]): Uint8Array | null {
  const bytes: number[] = [];
  let held = 0;
  let bits = 0;
  for (const group of groups) {
    held = ((held << 5) | group) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((held >> bits) & 0xff);
  }
  const rest = held & ((1 << bits) - 1);
  return bits < 5 && rest === 0 ? Uint8Array.from(bytes) : null;
}
