import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DatabaseBusyError, NotFoundError, OverloadedError } from "#base/errors/index.ts";
import { withRetry } from "./index.ts";

const never = new AbortController().signal;

describe("withRetry", () => {
  beforeEach(() => vi.spyOn(Math, "random").mockReturnValue(0));
  afterEach(() => vi.restoreAllMocks());

  it("tries retryable failures four times in all and raises the last", async () => {
    let tried = 0;
    const failing = withRetry(async () => {
      tried += 1;
      throw new DatabaseBusyError(`busy ${tried}`);
    }, never);
    await expect(failing).rejects.toMatchObject({ code: "database_busy", message: "busy 4" });
    expect(tried).toBe(4);
  });

  it("gives the first success", async () => {
    let tried = 0;
    const value = await withRetry(async () => {
      tried += 1;
      if (tried < 3) throw new OverloadedError("later");
      return tried;
    }, never);
    expect(value).toBe(3);
  });

  it("does not try again what would fail again, a defect least of all", async () => {
    for (const failure of [new NotFoundError("gone"), new TypeError("x is not a function")]) {
      let tried = 0;
      const failing = withRetry(async () => {
        tried += 1;
        throw failure;
      }, never);
      await expect(failing).rejects.toThrow(failure.message);
      expect(tried).toBe(1);
    }
  });

  it("draws the wait anew before every retry", async () => {
    const asked: number[] = [];
    vi.mocked(Math.random).mockImplementation(() => {
      asked.push(asked.length);
      return 0;
    });
    await withRetry(async () => {
      throw new OverloadedError("x", { retryAfterMs: 1 });
    }, never).catch(() => undefined);
    expect(asked).toEqual([0, 1, 2]);
  });

  it("ends a wait when it is cancelled, and does not begin when it already is", async () => {
    const controller = new AbortController();
    let tried = 0;
    const waiting = withRetry(async () => {
      tried += 1;
      queueMicrotask(() => controller.abort());
      throw new OverloadedError("x", { retryAfterMs: 3_600_000 });
    }, controller.signal);
    await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
    await expect(withRetry(async () => (tried += 1), controller.signal)).rejects.toMatchObject({
      code: "cancelled",
    });
    expect(tried).toBe(1);
  });
});
