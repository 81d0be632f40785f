import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { freshFolder, openRooms, type Rooms } from "../../../test/fixtures/rooms/open-rooms.ts";

afterEach(() => vi.useRealTimers());

async function open(): Promise<Rooms> {
  const rooms = await openRooms(freshFolder(onTestFinished));
  onTestFinished(() => rooms.close());
  return rooms;
}

describe("sign-in by link", () => {
  it("works once, and gives a session that ends at its time", async () => {
    const { access, database } = await open();
    vi.useFakeTimers({ toFake: ["Date"] });
    const start = Date.now();
    const token = access.signIn.issueToken();
    const results = await Promise.allSettled([
      access.signIn.redeem(token),
      access.signIn.redeem(token),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    await expect(access.signIn.redeem(token)).rejects.toMatchObject({
      code: "sign_in_token_invalid",
      status: 401,
    });
    const [won] = results;
    if (won?.status !== "fulfilled") throw new Error("the first redemption failed");
    const { secret, expiresAt } = won.value;
    expect(expiresAt).toBe(start + 12 * 3_600_000);
    const rows = JSON.stringify(await database.read.selectFrom("sessions").selectAll().execute());
    expect(rows).not.toContain(secret);
    expect(await access.authenticate({ session: secret })).toMatchObject({
      id: "local",
      role: "superadmin",
      session: { kind: "cookie" },
    });
    vi.setSystemTime(expiresAt);
    await expect(access.authenticate({ session: secret })).rejects.toMatchObject({
      code: "credential_invalid",
    });
  });

  it("refuses late and unknown tokens", async () => {
    const { access } = await open();
    vi.useFakeTimers({ toFake: ["Date", "performance"] });
    const token = access.signIn.issueToken();
    vi.advanceTimersByTime(10 * 60_000);
    vi.setSystemTime(Date.now() - 86_400_000);
    await expect(access.signIn.redeem(token)).rejects.toMatchObject({
      code: "sign_in_token_invalid",
    });
    await expect(access.signIn.redeem("unknown")).rejects.toMatchObject({
      code: "sign_in_token_invalid",
    });
  });
});
