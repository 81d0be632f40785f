import type { Database } from "#base/database/index.ts";
import { LoginLockedError } from "#base/errors/index.ts";

export type LockOutLimits = { readonly failedLogins: number; readonly lockoutMinutes: number };

export type LockOut = {
  /**
   * Counts an attempt before the password is looked at, so that many at once are no more than many in a row. Raises
   * LoginLockedError after too many, until the lock's time is over, which begins with the last attempt that was let through.
   * Names that nobody has are counted too: a lock says nothing about who exists.
   */
  attempt(name: string): Promise<void>;
  /** Forgets the attempts of a name: the password was right, or was given anew. */
  forgive(name: string): Promise<void>;
};

export function createLockOut(database: Database, limits: LockOutLimits): LockOut {
  const lockMs = limits.lockoutMinutes * 60_000;
  return {
    attempt: async (name) => {
      const { count, first_at: since } = await database.write(async ({ tables }) => {
        const now = Date.now();
        await tables
          .deleteFrom("login_failures")
          .where("first_at", "<=", now - lockMs)
          .execute();
        return tables
          .insertInto("login_failures")
          .values({ name, count: 1, first_at: now })
          .onConflict((is) =>
            is.column("name").doUpdateSet((held) => ({
              count: held("login_failures.count", "+", 1),
              first_at: held
                .case()
                .when("login_failures.count", "=", limits.failedLogins - 1)
                .then(now)
                .else(held.ref("login_failures.first_at"))
                .end(),
            })),
          )
          .returning(["count", "first_at"])
          .executeTakeFirstOrThrow();
      });
      if (count > limits.failedLogins)
        throw new LoginLockedError("This name is locked after too many failed logins.", {
          retryAfterMs: Math.max(since + lockMs - Date.now(), 1000),
        });
    },
    forgive: async (name) => {
      await database.write(({ tables }) =>
        tables.deleteFrom("login_failures").where("name", "=", name).execute(),
      );
    },
  };
}
