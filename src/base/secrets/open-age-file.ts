import {
  createDecipheriv,
  createHmac,
  diffieHellman,
  hkdfSync,
  timingSafeEqual,
} from "node:crypto";
import { toPublicKey, type AgeIdentity } from "./age-identity.ts";

/**
 * What came of opening an age file: its content, `wrong key` where it is for nobody of us, or what is wrong with it.
 * Nothing is told about how far a damaged one was read.
 */
export type OpenedAgeFile =
  | { readonly content: Uint8Array }
  | {
      readonly fault: "wrong key" | "damaged" | "other recipients";
      readonly recipients: readonly string[];
    };

type Stanza = {
  readonly type: string;
  readonly words: readonly string[];
  readonly body: Uint8Array;
};
type Header = {
  readonly stanzas: readonly Stanza[];
  readonly covered: string;
  readonly mac: Uint8Array;
  readonly payload: Uint8Array;
};

/** A data key has 32 bytes; age's first chunk would hold 64 KiB. */
const largestContent = 1024;

const none = new Uint8Array();

/**
 * Opens a small armored age file (https://age-encryption.org/v1, C2SP age.md) with the first identity that fits. Of recipients
 * X25519 is understood. The content is returned whole and authenticated, or not at all.
 */
export function openAgeFile(armored: string, identities: readonly AgeIdentity[]): OpenedAgeFile {
  const bytes = unarmor(armored);
  const header = bytes && readHeader(bytes);
  if (!header) return { fault: "damaged", recipients: [] };
  const recipients = header.stanzas.map(({ type }) => type);
  const ours = header.stanzas.filter(({ type }) => type === "X25519");
  if (ours.length === 0) return { fault: "other recipients", recipients };
  for (const stanza of ours)
    for (const identity of identities) {
      const fileKey = unwrap(stanza, identity);
      if (fileKey === null) continue;
      const content = openPayload(header, fileKey);
      return content === null ? { fault: "damaged", recipients } : { content };
    }
  return { fault: "wrong key", recipients };
}

function unarmor(armored: string): Buffer | null {
  const [, body] =
    /^\s*-----BEGIN AGE ENCRYPTED FILE-----\r?\n([A-Za-z0-9+/=\r\n]+?)\r?\n-----END AGE ENCRYPTED FILE-----\s*$/.exec(
      armored,
    ) ?? [];
  if (body === undefined) return null;
  const text = body.replaceAll(/\r?\n/g, "");
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : null;
}

/** The stanzas, the text that the header's sum covers, that sum and the payload; null where the form is broken. */
function readHeader(bytes: Buffer): Header | null {
  const end = bytes.indexOf("\n--- ");
  const after = end < 0 ? -1 : bytes.indexOf("\n", end + 1);
  if (after < 0) return null;
  const lines = bytes.toString("latin1", 0, end).split("\n");
  const mac = decode(bytes.toString("latin1", end + 5, after));
  if (lines.shift() !== "age-encryption.org/v1" || mac?.length !== 32) return null;
  const stanzas: Stanza[] = [];
  while (lines.length > 0) {
    const [, type, rest] = /^-> ([!-~]+)((?: [!-~]+)*)$/.exec(lines.shift() ?? "") ?? [];
    const body = takeBody(lines);
    if (type === undefined || rest === undefined || body === null) return null;
    stanzas.push({ type, words: rest.split(" ").slice(1), body });
  }
  if (stanzas.length === 0) return null;
  const covered = bytes.toString("latin1", 0, end + 4);
  return { stanzas, covered, mac, payload: bytes.subarray(after + 1) };
}

/** The body of a stanza: lines of 64 characters and a shorter last one, which may be empty. */
function takeBody(lines: string[]): Uint8Array | null {
  let text = "";
  for (;;) {
    const line = lines.shift();
    if (line === undefined || line.length > 64) return null;
    text += line;
    if (line.length < 64) return decode(text);
  }
}

/** Base 64 without padding, in its one canonical form. */
function decode(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64").replace(/=+$/, "") === text ? bytes : null;
}

/** The key of the file, 16 bytes, where the stanza is for this identity. */
function unwrap({ words, body }: Stanza, identity: AgeIdentity): Uint8Array | null {
  const [encoded = ""] = words;
  const share = decode(encoded);
  if (words.length !== 1 || share?.length !== 32 || body.length !== 32) return null;
  const secret = agree(share, identity);
  if (secret === null) return null;
  const salt = Buffer.concat([share, identity.publicKey]);
  const key = derive(secret, salt, "age-encryption.org/v1/X25519");
  return open(key, new Uint8Array(12), body);
}

/** The shared secret, or null for a share of low order, which yields none. */
function agree(share: Uint8Array, { privateKey }: AgeIdentity): Uint8Array | null {
  try {
    return diffieHellman({ privateKey, publicKey: toPublicKey(share) });
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown) return null;
    throw thrown;
  }
}

function openPayload({ covered, mac, payload }: Header, fileKey: Uint8Array): Uint8Array | null {
  const sum = createHmac("sha256", derive(fileKey, none, "header"))
    .update(covered, "latin1")
    .digest();
  if (!timingSafeEqual(sum, mac)) return null;
  if (payload.length < 32 || payload.length > largestContent) return null;
  const key = derive(fileKey, payload.subarray(0, 16), "payload");
  // The first chunk, and the last one.
  const nonce = new Uint8Array(12);
  nonce[11] = 1;
  return open(key, nonce, payload.subarray(16));
}

function derive(secret: Uint8Array, salt: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, salt, purpose, 32));
}

/** ChaCha20-Poly1305 (RFC 8439) with the tag at the end; null where it does not verify. */
function open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array | null {
  const split = sealed.length - 16;
  const cipher = createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  cipher.setAuthTag(sealed.subarray(split));
  const content = cipher.update(sealed.subarray(0, split));
  return finish(content, () => cipher.final());
}

/** `content` once `final` found it authentic. Node throws a plain Error where it is not. */
export function finish(content: Buffer, final: () => Buffer): Buffer | null {
  try {
    return Buffer.concat([content, final()]);
  } catch (thrown) {
    if (thrown instanceof Error && /authenticate data/.test(thrown.message)) return null;
    throw thrown;
  }
}
