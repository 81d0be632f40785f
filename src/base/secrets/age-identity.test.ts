import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { makeAgeKey, sealWithAge, toBech32 } from "../../../test/fixtures/sops/write-sops-file.ts";
import { readIdentities } from "./age-identity.ts";
import { openAgeFile } from "./open-age-file.ts";
import { openSopsDocument } from "./open-sops-document.ts";
import { readSopsDocument } from "./read-sops-document.ts";

const { identity, publicKey } = makeAgeKey();

test("an identity is read with its public key, whichever case it is written in", () => {
  for (const text of [identity, identity.toLowerCase(), `# created\n\n  ${identity}\r\n`]) {
    const { identities, faults } = readIdentities(text);
    expect(faults).toEqual([]);
    expect(identities.map((one) => [...one.publicKey])).toEqual([[...publicKey]]);
  }
});

const last = identity.endsWith("Q") ? "P" : "Q";

test.each([
  ["a damaged one", `${identity.slice(0, -1)}${last}`, "is a damaged age identity"],
  ["one of mixed case", `${identity.slice(0, -1)}${identity.slice(-1).toLowerCase()}x`, "damaged"],
  ["one with a foreign letter", `${identity.slice(0, -1)}!`, "damaged"],
  ["a short one", toBech32("age-secret-key-", randomBytes(31)).toUpperCase(), "damaged"],
  ["its beginning", "AGE-SECRET-KEY-1", "damaged"],
  ["a key for later computers", "AGE-SECRET-KEY-PQ-1QQQQ", "a kind that Candor does not open"],
  ["a plugin's", "AGE-PLUGIN-YUBIKEY-1QQQQ", "a kind that Candor does not open"],
  ["an encrypted one", "-----BEGIN AGE ENCRYPTED FILE-----", "asks for no passphrase"],
  ["an SSH key", `-----BEGIN OPENSSH PRIVATE${" "}KEY-----`, "which age-keygen makes"],
  ["a word", "hunter2", "is no age identity"],
])("%s is named by its line, without its content", (_what, line, fault) => {
  const { identities, faults } = readIdentities(`${identity}\n${line}`);
  expect(identities).toHaveLength(1);
  expect(faults).toHaveLength(1);
  expect(faults[0]).toContain(`line 2 `);
  expect(faults[0]).toContain(fault);
  expect(faults[0]).not.toContain("hunter2");
});

test("every other secret of 32 bytes is read as what it is", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (secret) => {
      const { identities } = readIdentities(toBech32("age-secret-key-", secret).toUpperCase());
      const raw = identities[0]?.privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32);
      expect(raw && [...raw]).toEqual([...secret]);
    }),
    { numRuns: 50 },
  );
});

test("hostile texts are told apart, never thrown on", () => {
  const { identities } = readIdentities(identity);
  const armored = sealWithAge(randomBytes(32), [makeAgeKey()]);
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "\n",
      "=",
      "sops_mac",
      "sops_age__list_0__map_enc",
      "__proto__",
      "{",
      '"sops":',
      "ENC[AES256_GCM,data:",
    ),
    fc.constantFrom("-----BEGIN AGE ENCRYPTED FILE-----\n", "-> X25519 ", "--- ", armored),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const text = pieces.join("");
      const read = readSopsDocument(text, "a.env");
      if ("document" in read) openSopsDocument(read.document, randomBytes(32));
      expect(openAgeFile(text, identities)).toHaveProperty("fault");
      readIdentities(text);
    }),
    { numRuns: 2000 },
  );
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});
