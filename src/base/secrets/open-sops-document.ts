import { createDecipheriv, createHash } from "node:crypto";
import { finish } from "./open-age-file.ts";
import type { PlainValue, SopsDocument } from "./read-sops-document.ts";

/** The values of a document by name, and the names whose value stands there unencrypted; or why it is not to be trusted. */
export type OpenedSopsDocument =
  | { readonly values: ReadonlyMap<string, string>; readonly plain: readonly string[] }
  | { readonly fault: string };

/** SOPS begins the sum with these bytes where it covers encrypted values only. */
const onlyEncryptedSeed = createHash("sha256").update("sops").digest();

/**
 * Decrypts every value and compares the sum over all of them: SHA-512 over the values in the order of the file, sealed under the
 * data key with the time of the last change as additional data. Nothing is returned unless all of it verifies.
 */
export function openSopsDocument(document: SopsDocument, dataKey: Uint8Array): OpenedSopsDocument {
  const values = new Map<string, string>();
  const plain: string[] = [];
  const sum = createHash("sha512");
  if (document.macOnlyEncrypted) sum.update(onlyEncryptedSeed);
  for (const [name, value] of document.entries) {
    const sealed = typeof value === "string" ? parseSealed(value) : null;
    if (sealed === null) {
      if (!document.macOnlyEncrypted) sum.update(toBytes(value));
      // SOPS leaves an empty text as it is.
      if (value === "") values.set(name, "");
      else if (value !== null) plain.push(name);
      continue;
    }
    const opened = open(sealed, dataKey, `${name}:`);
    if (opened === null || sealed.type === "comment")
      return { fault: `the value of ${JSON.stringify(name)} was changed after it was encrypted` };
    sum.update(opened);
    values.set(name, opened.toString("utf8"));
  }
  const mac = parseSealed(document.mac);
  const expected = mac && open(mac, dataKey, document.lastModified);
  if (expected?.toString("latin1") !== sum.digest("hex").toUpperCase())
    return {
      fault:
        "the sum over its values does not fit: a value was changed, added, removed or moved after it was encrypted",
    };
  return { values, plain };
}

type Sealed = {
  readonly data: Buffer;
  readonly nonce: Buffer;
  readonly tag: Buffer;
  readonly type: string;
};

const sealedForm =
  /^ENC\[AES256_GCM,data:([A-Za-z0-9+/]+={0,2}),iv:([A-Za-z0-9+/]+={0,2}),tag:([A-Za-z0-9+/]+={0,2}),type:([a-z0-9]+)\]$/;

/** `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`; null for everything else. */
function parseSealed(text: string): Sealed | null {
  const [, data, nonce, tag, type] = sealedForm.exec(text) ?? [];
  if (data === undefined || nonce === undefined || tag === undefined || type === undefined)
    return null;
  const bytes = (encoded: string) => Buffer.from(encoded, "base64");
  return { data: bytes(data), nonce: bytes(nonce), tag: bytes(tag), type };
}

/** The bytes of a value, or null where they, their place or the key are not those of the encryption. */
function open(sealed: Sealed, key: Uint8Array, place: string): Buffer | null {
  const { data, nonce, tag } = sealed;
  // SOPS takes nonces of 32 bytes, other writers of its form 12; a shorter tag could be guessed.
  if (tag.length !== 16 || nonce.length < 12) return null;
  const cipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: 16 });
  cipher.setAAD(Buffer.from(place)).setAuthTag(tag);
  const content = cipher.update(data);
  return finish(content, () => cipher.final());
}

/** An unencrypted value as SOPS counts it into the sum. */
function toBytes(value: PlainValue): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  return value === null ? "" : String(value);
}
