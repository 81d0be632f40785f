import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import type { JWTPayload } from "jose";
import type { Database } from "#base/database/index.ts";
import { CredentialInvalidError, protectSecret, TokenExpiredError } from "#base/errors/index.ts";
import { storedSecret } from "./sealed-secrets.ts";

/** Claims that Candor's own tokens carry; issuer and audience are the same program. */
const issuer = "candor";
/** RFC 9068: the type of an access token, so that no other JWT can stand for one. */
const tokenType = "at+jwt";
const algorithm = "EdDSA";

/** What a token says: who signed in, and by which login. */
export type TokenClaims = { readonly user: string; readonly login: string };

export type AccessTokens = {
  /** A JWT (RFC 7519) signed with Ed25519 (RFC 8037), and when it ends in UTC milliseconds. */
  sign(claims: TokenClaims): Promise<{ token: string; expiresAt: number }>;
  /** Raises TokenExpiredError for one whose time is over, CredentialInvalidError for every other that is not ours. */
  verify(token: string): Promise<TokenClaims>;
};

export type TokenOptions = {
  readonly database: Database;
  readonly secretKey: () => string;
  readonly minutes: number;
  readonly report: (thrown: unknown) => Promise<unknown>;
};

/** Access tokens of this installation. Its signing key is made at the first use and kept sealed in the database. */
export function createAccessTokens(options: TokenOptions): AccessTokens {
  let keys: Promise<SigningKeys> | undefined;
  const signingKeys = async () => {
    keys ??= loadKeys(options);
    try {
      return await keys;
    } catch (thrown) {
      keys = undefined;
      throw thrown;
    }
  };
  return {
    sign: async ({ user, login }) => {
      const { SignJWT } = await import("jose");
      const { privateKey, id } = await signingKeys();
      const issuedAt = Math.floor(Date.now() / 1000);
      const ends = issuedAt + options.minutes * 60;
      const token = await new SignJWT({ sid: login })
        .setProtectedHeader({ alg: algorithm, typ: tokenType, kid: id })
        .setSubject(user)
        .setIssuer(issuer)
        .setAudience(issuer)
        .setIssuedAt(issuedAt)
        .setExpirationTime(ends)
        .sign(privateKey);
      return { token, expiresAt: ends * 1000 };
    },
    verify: async (token) => {
      const { errors, jwtVerify } = await import("jose");
      const { publicKey, id } = await signingKeys();
      try {
        const { payload, protectedHeader } = await jwtVerify(token, publicKey, {
          algorithms: [algorithm],
          issuer,
          audience: issuer,
          typ: tokenType,
        });
        const claims = readClaims(payload, options.minutes * 60);
        if (claims && protectedHeader.kid === id && isCanonical(token)) return claims;
      } catch (thrown) {
        if (thrown instanceof errors.JWTExpired)
          throw new TokenExpiredError("The access token has expired: refresh it.");
        if (!(thrown instanceof errors.JOSEError)) throw thrown;
      }
      throw new CredentialInvalidError("The access token is not valid.");
    },
  };
}

/** How far ahead of ours, in seconds, the clock may have been that issued a token: further, and it was wrong. */
const clockAhead = 60;

/**
 * What the library leaves open: that our claims are there, and of their kinds (it lets a token pass that has no `exp` and would
 * never end), and that a token lives no longer than we let any live.
 */
function readClaims({ sub, sid, exp, iat }: JWTPayload, longest: number): TokenClaims | null {
  if (typeof sub !== "string" || typeof sid !== "string" || !isTime(exp) || !isTime(iat))
    return null;
  const ours = exp - iat <= longest && iat <= Date.now() / 1000 + clockAhead;
  return ours ? { user: sub, login: sid } : null;
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** Whether each part is written in the one way in which we write it: the library also takes others. */
function isCanonical(token: string): boolean {
  return token
    .split(".")
    .every((part) => Buffer.from(part, "base64url").toString("base64url") === part);
}

type SigningKeys = {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly id: string;
};

async function loadKeys({ database, secretKey, report }: TokenOptions): Promise<SigningKeys> {
  const make = () =>
    generateKeyPairSync("ed25519").privateKey.export({ format: "der", type: "pkcs8" });
  const der = await storedSecret(database, secretKey(), "token-signing-key", { make, report });
  protectSecret(der.toString("base64"));
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const publicKey = createPublicKey(privateKey);
  const { calculateJwkThumbprint } = await import("jose");
  const jwk = publicKey.export({ format: "jwk" });
  return { privateKey, publicKey, id: await calculateJwkThumbprint(jwk) };
}
