import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InputInvalidError } from "./index.ts";
import { isSecretName, protectSecret, redact, redacted, redactText } from "./redact.ts";

const letters = (alphabet: string, least: number, most: number) =>
  fc
    .array(fc.constantFrom(...alphabet.split("")), { minLength: least, maxLength: most })
    .map((parts) => parts.join(""));
const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** Every shape of secret that can stand in running text: the part that must not survive, and how it is written. */
const secrets = fc.oneof(
  letters(base64url, 30, 43).map((key) => ({ secret: key, text: `candor_${key}` })),
  letters(base64url, 24, 40).map((key) => ({ secret: key, text: `hf_${key}` })),
  letters(base64url, 20, 48).map((key) => ({ secret: key, text: `sk-${key}` })),
  letters(base64url, 36, 36).map((key) => ({ secret: key, text: `ghp_${key}` })),
  letters("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 16, 16).map((key) => ({
    secret: key,
    text: `AKIA${key}`,
  })),
  letters("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 16, 16).map((key) => ({
    secret: key,
    text: `ASIA${key}`,
  })),
  letters("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 20, 58).map((key) => ({
    secret: key,
    text: `AGE-SECRET-KEY-1${key}`,
  })),
  letters(base64url, 20, 200).map((key) => ({ secret: key, text: `eyJ${key}.${key}.${key}` })),
  letters(base64url, 12, 60).map((key) => ({ secret: key, text: `Authorization: Bearer ${key}` })),
  letters(base64url, 8, 60).map((key) => ({ secret: key, text: `postgres://user:${key}@host/db` })),
  letters(base64url, 8, 60).map((key) => ({
    secret: key,
    text: encodeURIComponent(`postgres://user:ü${key}@host/db`),
  })),
  letters(base64url, 8, 60).map((key) => ({ secret: key, text: `password%3D${key}` })),
  fc
    .tuple(
      fc.constantFrom(
        "password=",
        "dbPassword: ",
        "client_secret=",
        "clientSecret: ",
        'api-key": "',
        "X-Api-Key: ",
        "SECRET_KEY = ",
        "access_token=",
      ),
      letters(base64url, 8, 60),
    )
    .map(([name, key]) => ({ secret: key, text: `${name}${key}` })),
  letters(base64url, 40, 400).map((key) => ({
    secret: key,
    text: `-----BEGIN RSA PRIVATE KEY-----\n${key}\n-----END RSA PRIVATE KEY-----`,
  })),
);
/** Text of its own around a secret: without the characters by which the quick look could find it by luck. */
const around = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.constantFrom("", "a", "a word and", "/path/of"),
);

describe("redactText", () => {
  it("removes every shape of secret wherever it stands", () => {
    fc.assert(
      fc.property(secrets, around, around, ({ secret, text }, before, after) => {
        const clean = redactText(`${before} ${text} ${after}`);
        expect(clean).not.toContain(secret);
        expect(clean).toContain(redacted);
      }),
      { numRuns: 2000 },
    );
  });

  it("leaves ordinary text alone", () => {
    const text =
      "The token limit is 512; see https://example.org/a:b and C:\\keys. Password rules: 12 characters. basic facts";
    expect(redactText(text)).toBe(text);
  });

  it("removes a registered secret of any shape", () => {
    const secret = "correct horse battery staple";
    protectSecret(secret);
    expect(redactText(`the phrase is ${secret}!`)).toBe(`the phrase is ${redacted}!`);
  });

  it("does not hang on hostile text of 100 KB", { timeout: 5000 }, () => {
    const bits = [
      "eyJ-",
      "eyJaaaaaaaa.",
      "-----BEGIN PRIVATE KEY-----",
      "Bearer ",
      "a://",
      "aa%3a%2f%2f",
      "%3a",
      "%20",
      "a-",
      "sk-",
    ];
    bits.push(
      "password",
      "password=",
      "token ",
      "candor_",
      "https://a",
      "A_",
      " ",
      "eyJaaaaaaaa-",
      ":/@",
    );
    for (const bit of bits) {
      const hostile = bit.repeat(Math.ceil(100_000 / bit.length));
      expect(redactText(hostile).length).toBeGreaterThan(0);
      expect(typeof isSecretName(hostile)).toBe("boolean");
    }
  });
});

describe("redact", () => {
  it("removes secrets at any depth, in values, names and by name of the field", () => {
    fc.assert(
      fc.property(
        secrets,
        fc.constantFrom(
          "authorization",
          "Cookie",
          "set-cookie",
          "clientSecret",
          "api_key",
          "userPassword",
        ),
        ({ secret, text }, name) => {
          const shown = JSON.stringify(
            redact({
              headers: { [name]: secret },
              list: [{ deep: { deeper: [text] } }],
              [text]: 1,
              error: new Error(text),
            }),
          );
          expect(shown).not.toContain(secret);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("survives anything that can be in details", () => {
    fc.assert(
      fc.property(fc.anything({ withDate: true, withBigInt: true, withSet: true }), (value) => {
        expect(() => JSON.stringify(redact({ value }))).not.toThrow();
      }),
    );
    const circle: Record<string, unknown> = {
      get broken(): string {
        throw new Error("no");
      },
    };
    circle["self"] = circle;
    expect(JSON.stringify(redact(circle))).toContain("cannot be read: Error: no");
    expect(redact({ at: new Date(Number.NaN) })).toEqual({ at: "[invalid date]" });
  });

  it("cuts long text and names what it leaves out", () => {
    const text = "x".repeat(5000);
    expect(redact(text)).toBe(`${"x".repeat(400)}… (5000 characters)`);
    expect(redact({ vector: new Float32Array(4) })).toEqual({ vector: "[16 bytes]" });
  });

  it("is applied when an error is made", () => {
    const error = new InputInvalidError("the key sk-abcdefghijklmnop1234 is wrong", {
      details: { password: "hunter22", path: "/x?token=abcdef123456" },
      errors: [{ pointer: "/key", message: "is not sk-abcdefghijklmnop1234" }],
    });
    const shown = JSON.stringify([error.message, error.details, error.errors, error.stack]);
    expect(shown).not.toMatch(/abcdefghijklmnop1234|hunter22|abcdef123456/);
  });
});
