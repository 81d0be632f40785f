import { hash } from "node:crypto";
import rateLimit from "@fastify/rate-limit";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { localPrincipal, type Principal } from "#base/access/index.ts";
import { CandorError, RateLimitedError } from "#base/errors/index.ts";
import type { Door } from "./door.ts";
import { type Demand, identify } from "./identify.ts";

const minuteMs = 60_000;

/** Credentials remembered as good, by their hash; the oldest are forgotten first. */
const mostKnown = 1000;

/** 401 that every honest client gets once in a while: it says nothing about somebody who guesses. */
const harmless: ReadonlySet<string> = new Set(["authentication_required", "token_expired"]);

export type Admission = {
  /** Who calls. Raises RateLimitedError when the caller, or the address of nobody in particular, asked too often. */
  admit(request: FastifyRequest, reply: FastifyReply, demand: Demand): Promise<Principal | null>;
  /** The error to answer in place of `thrown`: a wrong password or link counts like a wrong key. */
  afterFailure(request: FastifyRequest, thrown: unknown): Promise<unknown>;
};

/**
 * Limits how often callers and addresses ask. Who is let in counts for the principal alone, whatever the address; everything
 * else counts for the address: pages, signing in, refusals. Wrong credentials count once more, strictly: above that limit a
 * credential is refused unseen, unless it was accepted lately, so that nobody is locked out by a neighbour who guesses.
 */
export async function createAdmission(server: FastifyInstance, door: Door): Promise<Admission> {
  await server.register(rateLimit, { global: false, store: windowStore(door.limits.counted) });
  const { perCaller, perAddress, failures } = limitersOf(server, door);
  const known = new Set<string>();
  /** Failures that were counted where they happened. */
  const counted = new WeakSet<object>();

  const tryToIdentify = async (request: FastifyRequest, demand: Demand, seal?: string) => {
    try {
      return await identify(door, request, demand);
    } catch (thrown) {
      if (thrown instanceof Error) counted.add(thrown);
      if (seal !== undefined && isWrongCredential(thrown)) {
        known.delete(seal);
        await failures.count(request);
      } else if (!isNobody(request)) await perAddress.count(request);
      throw thrown;
    }
  };

  return {
    admit: async (request, reply, demand) => {
      const bearer = request.headers.authorization;
      const seal = bearer === undefined ? undefined : hash("sha256", bearer, "base64");
      if (isNobody(request)) await perAddress.count(request);
      const isGuess = signsIn(demand) || (seal !== undefined && !known.has(seal));
      if (isGuess) await failures.look(request);
      const principal = await tryToIdentify(request, demand, seal);
      if (principal === null) {
        if (!isNobody(request)) await perAddress.count(request);
        return null;
      }
      if (seal !== undefined) remember(known, seal);
      request.principal = principal;
      reply.headers(await perCaller.count(request));
      return principal;
    },
    afterFailure: async (request, thrown) => {
      if (!isWrongCredential(thrown) || counted.has(thrown)) return thrown;
      const [outcome] = await Promise.allSettled([failures.count(request)]);
      return outcome.status === "rejected" ? outcome.reason : thrown;
    },
  };
}

type Limiter = {
  /** Counts one. Returns the headers that tell the caller; raises RateLimitedError when it is one too many. */
  count(request: FastifyRequest): Promise<Record<string, number>>;
  /** Counts nothing. Raises RateLimitedError when one more would be too many. */
  look(request: FastifyRequest): Promise<void>;
};

function limitersOf(server: FastifyInstance, door: Door) {
  const { metrics } = door.app;
  const limits = () => door.app.configuration.config.security;
  const create = (
    what: string,
    max: () => number,
    keyGenerator: (request: FastifyRequest) => string,
  ): Limiter => {
    const limiter = server.createRateLimit({ max, timeWindow: minuteMs, keyGenerator });
    const ask = async (request: FastifyRequest, increment: boolean) => {
      const limit = await limiter(request, { increment });
      if (limit.isAllowed) return {};
      if (increment ? limit.isExceeded : limit.remaining === 0) {
        metrics.refused("rate_limit");
        const seconds = Math.max(1, limit.ttlInSeconds);
        throw new RateLimitedError(
          `${what} is limited to ${limit.max} a minute. Try again in ${seconds} s.`,
          { retryAfterMs: Math.max(1, limit.ttl) },
        );
      }
      return {
        "ratelimit-limit": limit.max,
        "ratelimit-remaining": limit.remaining,
        "ratelimit-reset": limit.ttlInSeconds,
      };
    };
    return {
      count: (request) => ask(request, true),
      look: async (request) => void (await ask(request, false)),
    };
  };
  return {
    perCaller: create("What one caller may ask", () => limits().requestsPerMinute, callerOf),
    perAddress: create(
      "What one address may ask without being signed in",
      () => limits().requestsPerMinutePerAddress,
      addressOf,
    ),
    failures: create(
      "What one address may try with wrong keys, passwords and links",
      () => limits().failuresPerMinutePerAddress,
      addressOf,
    ),
  };
}

/** All keys of a user count as one caller with them; those that the operator made for programs count each by itself. */
function callerOf({ principal }: FastifyRequest): string {
  if (principal === null) return "";
  return principal.account === localPrincipal.id ? principal.id : principal.account;
}

/** The address that asks. Whoever has an IPv6 address has 2^64 of them: they count as one. */
function addressOf(request: FastifyRequest): string {
  // The address of a connection that is gone already is unknown; such requests share a place.
  return rateLimit.normalizeIP(request.ip ?? "gone");
}

/** Whether nothing in the request claims to be somebody. */
export function isNobody(request: FastifyRequest): boolean {
  return request.headers.authorization === undefined && request.headers.cookie === undefined;
}

/** Whether a call of nobody tries to become somebody: signing in, logging in, refreshing. */
function signsIn({ permission, reads }: Demand): boolean {
  return permission === "public" && !reads;
}

function isWrongCredential(thrown: unknown): thrown is CandorError {
  return thrown instanceof CandorError && thrown.status === 401 && !harmless.has(thrown.code);
}

function remember(known: Set<string>, seal: string): void {
  if (known.has(seal)) return;
  known.add(seal);
  const [oldest] = known;
  if (known.size > mostKnown && oldest !== undefined) known.delete(oldest);
}

type Window = { current: number; readonly since: number };

/**
 * Counts in fixed windows by the monotonic clock: a clock that is set back would hold a window of the plugin's own store open
 * until it comes round again. At most `most` keys; who has not asked for longest is forgotten first. The plugin wants a class.
 */
function windowStore(most: number): rateLimit.FastifyRateLimitStoreCtor {
  return class WindowStore implements rateLimit.FastifyRateLimitStore {
    readonly #windows = new Map<string, Window>();

    incr(key: string, answer: Answer, timeWindow: number): void {
      const window = this.#open(key, timeWindow) ?? { current: 0, since: performance.now() };
      window.current += 1;
      this.#windows.delete(key);
      this.#windows.set(key, window);
      if (this.#windows.size > most) {
        const [oldest] = this.#windows.keys();
        if (oldest !== undefined) this.#windows.delete(oldest);
      }
      answer(null, toResult(window, timeWindow));
    }

    read(key: string, answer: Answer, timeWindow: number): void {
      const window = this.#open(key, timeWindow);
      answer(null, window === undefined ? { current: 0, ttl: 0 } : toResult(window, timeWindow));
    }

    child(): WindowStore {
      return new WindowStore();
    }

    #open(key: string, timeWindow: number): Window | undefined {
      const window = this.#windows.get(key);
      const isOpen = window !== undefined && performance.now() - window.since < timeWindow;
      return isOpen ? window : undefined;
    }
  };
}

type Answer = (error: Error | null, result: { current: number; ttl: number }) => void;

function toResult({ current, since }: Window, timeWindow: number) {
  return { current, ttl: Math.ceil(since + timeWindow - performance.now()) };
}
