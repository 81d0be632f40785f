import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { seal, unseal } from "./sealed-secrets.ts";

const key = "a secret key of this test, long enough";
const unreadable = { code: "secret_unreadable", status: 500 };

describe("a sealed secret", () => {
  it("opens with its key and its name, and looks different each time", async () => {
    for (const secret of [Buffer.from("canary of the test"), Buffer.alloc(0), randomBytes(5000)]) {
      const [one, other] = [await seal(key, "name", secret), await seal(key, "name", secret)];
      expect(await unseal(key, "name", one)).toEqual(secret);
      expect(await unseal(key, "name", other)).toEqual(secret);
      expect(one.equals(other)).toBe(false);
      expect(one).toHaveLength(1 + 16 + 12 + 16 + secret.length);
      if (secret.length > 0) expect(one.includes(secret)).toBe(false);
    }
  });

  it("does not open with another key, under another name, or cut or grown by a byte", async () => {
    const secret = Buffer.from("canary of the test");
    const sealed = await seal(key, "name", secret);
    for (const [otherKey, name, bytes] of [
      [`${key} `, "name", sealed],
      ["", "name", sealed],
      [key, "other", sealed],
      [key, "", sealed],
      [key, "name", sealed.subarray(0, -1)],
      [key, "name", sealed.subarray(1)],
      [key, "name", Buffer.concat([sealed, Buffer.alloc(1)])],
      [key, "name", sealed.subarray(0, 45)],
      [key, "name", sealed.subarray(0, 44)],
      [key, "name", Buffer.alloc(0)],
    ] as const) {
      const opening = unseal(otherKey, name, bytes);
      await expect(opening).rejects.toMatchObject(unreadable);
      const told = await opening.catch(
        (thrown: Error) => `${thrown.message} ${String(thrown.cause)}`,
      );
      expect(told).not.toContain("canary");
      expect(told).not.toContain(key);
    }
  });

  it("does not open once any one byte is another", async () => {
    const sealed = await seal(key, "name", Buffer.from("canary"));
    const outcomes = await Promise.all(
      Array.from(sealed, async (byte, place) => {
        const changed = Buffer.from(sealed);
        changed[place] = byte ^ (1 << (place % 8));
        return unseal(key, "name", changed).then(
          () => `byte ${place} counts for nothing`,
          (thrown: { code: string }) => thrown.code,
        );
      }),
    );
    expect(new Set(outcomes)).toEqual(new Set(["secret_unreadable"]));
    expect(outcomes).toHaveLength(1 + 16 + 12 + 16 + 6);
  });
});
