import { InputInvalidError, OverloadedError } from "#base/errors/index.ts";

/** RFC 9106, section 4: the second recommended choice, 64 MiB, three passes, four lanes. `2` is Argon2id, in version 0x13. */
const argon2id = { algorithm: 2, memoryCost: 65_536, timeCost: 3, parallelism: 4 } as const;

/** Longest password, in characters: longer ones only cost time. */
const longest = 128;

/** Passwords hashed at the same time: each takes 64 MiB. */
const mostRunning = 2;
/** Callers that wait for their turn; more are told to come back. */
const mostWaiting = 64;

export type Passwords = {
  /** Raises InputInvalidError for a password that is too short, too long or too plain. `pointer` names the field. */
  check(password: string, name: string): void;
  hash(password: string): Promise<string>;
  /** Whether `password` is the one of `hash`; without a hash the same time is spent, and the answer is no. */
  verify(password: string, hash: string | null): Promise<boolean>;
};

/** The hash of a password that nobody knows, made as all others are: without a user the same time is spent. */
const nobodys =
  "$argon2id$v=19$m=65536,t=3,p=4$oP/RLR7tm0w23hdeBJvevg$pNhhdiZbgCP9EkH+R7wUmyNKVa75irBrlfCtRzzS5qA";

/** Argon2id, a few at a time. */
export function createPasswords(shortest: number): Passwords {
  const turns = createTurns();
  return {
    check: (password, name) => checkPassword(password, name, shortest),
    hash: (password) =>
      turns(async () => {
        const argon2 = await import("@node-rs/argon2");
        return argon2.hash(password, argon2id);
      }),
    verify: async (password, stored) => {
      const fits = lengthOf(password) <= longest && password.isWellFormed();
      const matches = await turns(async () => {
        const argon2 = await import("@node-rs/argon2");
        return argon2.verify(stored ?? nobodys, fits ? password : "");
      });
      return matches && fits && stored !== null;
    },
  };
}

function checkPassword(password: string, name: string, shortest: number): void {
  const refuse = (message: string) =>
    new InputInvalidError(`The password ${message}.`, {
      errors: [{ pointer: "/password", message }],
    });
  if (lengthOf(password) < shortest) throw refuse(`needs at least ${shortest} characters`);
  if (lengthOf(password) > longest) throw refuse(`has at most ${longest} characters`);
  // Half a character becomes another one on its way to the hash: two passwords would be the same.
  if (!password.isWellFormed()) throw refuse("holds half a character (a lone surrogate)");
  if (!/[^\p{L}\p{M}\p{N}]/u.test(password))
    throw refuse("needs a character that is neither letter nor digit");
  // Short names stand in many good passwords by chance.
  if (name.length >= 4 && password.toLowerCase().includes(name.toLowerCase()))
    throw refuse("may not contain the user's name");
}

function lengthOf(password: string): number {
  return Array.from(password).length;
}

/** Runs a few works at a time and lets a bounded number wait. */
function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running >= mostRunning) {
      if (waiting.length >= mostWaiting)
        throw new OverloadedError("Too many sign-ins at once: try again in a moment.", {
          retryAfterMs: 1000,
        });
      await new Promise<void>((go) => waiting.push(go));
    } else running += 1;
    try {
      return await work();
    } finally {
      // The turn goes on to the next one in the row.
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
