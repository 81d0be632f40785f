import { createCipheriv, createDecipheriv, pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import type { Database } from "#base/database/index.ts";
import { SecretUnreadableError } from "#base/errors/index.ts";

/** Layout of a sealed secret: version, salt, nonce, tag, ciphertext. */
const version = 1;
const saltBytes = 16;
/** NIST SP 800-38D, section 8.2: a nonce of 96 bits, never used twice with a key; here each seal has a key of its own. */
const nonceBytes = 12;
const tagBytes = 16;
/** PBKDF2 with HMAC-SHA-512; the figure is OWASP's of 2023. */
const iterations = 210_000;

const derive = promisify(pbkdf2);

/** Seals `secret` with AES-256-GCM under a key derived from `secretKey`; `name` is bound in, so one cannot stand for another. */
export async function seal(secretKey: string, name: string, secret: Buffer): Promise<Buffer> {
  const salt = randomBytes(saltBytes);
  const nonce = randomBytes(nonceBytes);
  const key = await derive(secretKey, salt, iterations, 32, "sha512");
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(name));
  const content = Buffer.concat([cipher.update(secret), cipher.final()]);
  return Buffer.concat([Buffer.of(version), salt, nonce, cipher.getAuthTag(), content]);
}

/** Opens what `seal` made. Raises SecretUnreadableError for another key, another name, or changed bytes. */
export async function unseal(secretKey: string, name: string, sealed: Uint8Array): Promise<Buffer> {
  const bytes = Buffer.from(sealed);
  const header = 1 + saltBytes + nonceBytes + tagBytes;
  try {
    if (bytes[0] !== version || bytes.length < header) throw new RangeError("unknown layout");
    const salt = bytes.subarray(1, 1 + saltBytes);
    const nonce = bytes.subarray(1 + saltBytes, 1 + saltBytes + nonceBytes);
    const key = await derive(secretKey, salt, iterations, 32, "sha512");
    const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes })
      .setAAD(Buffer.from(name))
      .setAuthTag(bytes.subarray(header - tagBytes, header));
    return Buffer.concat([decipher.update(bytes.subarray(header)), decipher.final()]);
  } catch (thrown) {
    throw new SecretUnreadableError(
      `The stored secret ${name} cannot be opened with the configured security.secretKey.`,
      { cause: thrown },
    );
  }
}

/**
 * The stored secret `name`, made by `make` the first time. One that cannot be opened, because `secretKey` was changed, is told to
 * `report` and made anew: what it had signed is not valid any more.
 */
export async function storedSecret(
  database: Database,
  secretKey: string,
  name: string,
  { make, report }: { make: () => Buffer; report: (thrown: unknown) => Promise<unknown> },
): Promise<Buffer> {
  const row = await database.read
    .selectFrom("secrets")
    .select("sealed")
    .where("name", "=", name)
    .executeTakeFirst();
  if (row) {
    try {
      return await unseal(secretKey, name, row.sealed);
    } catch (thrown) {
      await report(thrown);
    }
  }
  const secret = make();
  const sealed = await seal(secretKey, name, secret);
  await database.write(({ tables }) =>
    tables
      .insertInto("secrets")
      .orReplace()
      .values({ name, sealed, created_at: Date.now() })
      .execute(),
  );
  return secret;
}
