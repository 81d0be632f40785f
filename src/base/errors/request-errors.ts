import { line } from "./define-error.ts";

// Requests and their input
export const MalformedRequestError = line(
  "MalformedRequestError",
  "malformed_request",
  [400, "low", "validation", "final"],
  "The request cannot be read",
  "The body is not valid JSON or multipart, or its encoding is broken. Send what the operation documents.",
);
export const InputInvalidError = line(
  "InputInvalidError",
  "input_invalid",
  [422, "low", "validation", "final"],
  "A field is missing or wrong",
  "Every bad field is listed with a JSON pointer and, where the choice is closed, the valid values.",
);
export const PayloadTooLargeError = line(
  "PayloadTooLargeError",
  "payload_too_large",
  [413, "low", "validation", "final"],
  "The body is larger than allowed",
  "Send less at once, or raise `server.bodyLimitMegabytes`.",
);
export const UnsupportedMediaTypeError = line(
  "UnsupportedMediaTypeError",
  "unsupported_media_type",
  [415, "low", "validation", "final"],
  "The media type is not accepted here",
  "Send JSON, or multipart where the operation accepts a file.",
);
export const MethodNotAllowedError = line(
  "MethodNotAllowedError",
  "method_not_allowed",
  [405, "low", "validation", "final"],
  "The path exists, the method does not",
  "The Allow header lists the methods of this path; `/docs` lists every operation.",
);
export const AddressTooLongError = line(
  "AddressTooLongError",
  "address_too_long",
  [414, "low", "validation", "final"],
  "The address is too long",
  "A name or key in the path is longer than any that exists. Keys have at most 512 characters.",
);
export const HeadersTooLargeError = line(
  "HeadersTooLargeError",
  "headers_too_large",
  [431, "low", "validation", "final"],
  "The request line and headers are larger than allowed",
  "Together they take at most 16 KiB. Send long input in the body.",
);
export const RequestTimeoutError = line(
  "RequestTimeoutError",
  "request_timeout",
  [408, "low", "network", "retry"],
  "The request took too long to arrive",
  "Headers and body must arrive within 30 seconds, uploads within `server.requestTimeoutSeconds`.",
);
export const OperationTimeoutError = line(
  "OperationTimeoutError",
  "operation_timeout",
  [504, "medium", "performance", "retry"],
  "The operation took longer than allowed",
  "It was told to stop. Ask for less at once, or raise `server.requestTimeoutSeconds`.",
);
export const NotFoundError = line(
  "NotFoundError",
  "not_found",
  [404, "low", "validation", "final"],
  "There is no such thing, or it is not yours to see",
  "A thing that is missing and one that you may not see answer the same. Check the name or id, and the key you use.",
);
export const AlreadyExistsError = line(
  "AlreadyExistsError",
  "already_exists",
  [409, "low", "business_logic", "final"],
  "The name is taken",
  "Choose another name, or use the existing thing.",
);
export const ConflictError = line(
  "ConflictError",
  "conflict",
  [409, "low", "business_logic", "retry"],
  "Another change came in between",
  "Read the current state and try again.",
);
export const CancelledError = line(
  "CancelledError",
  "cancelled",
  [499, "info", "business_logic", "final"],
  "Cancelled on request",
  "What was finished before is kept where the operation says so.",
);
export const CursorStaleError = line(
  "CursorStaleError",
  "cursor_stale",
  [409, "low", "validation", "final"],
  "The page this cursor points into has changed",
  "Start again without a cursor: the collection changed, or the cursor belongs to another query.",
);
export const IdempotencyMismatchError = line(
  "IdempotencyMismatchError",
  "idempotency_mismatch",
  [422, "low", "validation", "final"],
  "The idempotency key was used for another request",
  "Use a new key for a new request.",
);
export const IdempotencyInFlightError = line(
  "IdempotencyInFlightError",
  "idempotency_in_flight",
  [409, "low", "business_logic", "retry"],
  "The first request with this key is still running",
  "Wait for it and repeat: the same answer comes back.",
);
export const DefectError = line(
  "DefectError",
  "defect",
  [500, "high", "unknown", "final"],
  "A fault in Candor",
  "Something happened that the code did not foresee. The ledger entry named by `instance` holds the stack: please report it.",
);

// Who may do what
export const AuthenticationRequiredError = line(
  "AuthenticationRequiredError",
  "authentication_required",
  [401, "low", "authentication", "final"],
  "Sign in first",
  "Send `Authorization: Bearer <key>` (`candor keys create`), or open the address that `candor serve` prints.",
);
export const CredentialInvalidError = line(
  "CredentialInvalidError",
  "credential_invalid",
  [401, "medium", "authentication", "final"],
  "The key or session is not valid",
  "It is unknown, expired or revoked. Create a new key, or sign in again.",
);
export const LoginFailedError = line(
  "LoginFailedError",
  "login_failed",
  [401, "medium", "authentication", "final"],
  "Name and password do not match",
  "Check both. A user who is disabled or has no password cannot sign in; an admin resets it with `candor users update`.",
);
export const LoginLockedError = line(
  "LoginLockedError",
  "login_locked",
  [429, "medium", "security", "retry"],
  "Too many failed logins with this name",
  "The name is locked for `security.lockoutMinutes`, whether or not such a user exists. A new password given by an admin unlocks it.",
);
export const TokenExpiredError = line(
  "TokenExpiredError",
  "token_expired",
  [401, "low", "authentication", "final"],
  "The access token has expired",
  "Get a new one with `POST /api/v1/auth/refresh` and the refresh token.",
);
export const RefreshTokenReusedError = line(
  "RefreshTokenReusedError",
  "refresh_token_reused",
  [401, "high", "security", "final"],
  "The refresh token was used before",
  "Each works once. A second use means that somebody else may hold a copy, so the whole sign-in was ended: sign in again.",
);
export const SignInTokenInvalidError = line(
  "SignInTokenInvalidError",
  "sign_in_token_invalid",
  [401, "medium", "authentication", "final"],
  "The sign-in link is not valid",
  "Links work once and for a limited time (`security.signInMinutes`). `candor serve` prints a new one at each start.",
);
export const PermissionDeniedError = line(
  "PermissionDeniedError",
  "permission_denied",
  [403, "medium", "authorization", "final"],
  "Your role or grant does not allow this",
  "The message names the role or the right that is needed.",
);
export const LastOwnerError = line(
  "LastOwnerError",
  "last_owner",
  [409, "low", "business_logic", "final"],
  "The last one who may do this cannot be taken away",
  "Make somebody else superadmin, or owner of the collection, first.",
);
export const SecretUnreadableError = line(
  "SecretUnreadableError",
  "secret_unreadable",
  [500, "high", "security", "final"],
  "A stored secret cannot be opened",
  "`security.secretKey` is not the one it was stored with, or the stored bytes were changed. A signing key is made anew: everybody signs in again.",
);
export const RateLimitedError = line(
  "RateLimitedError",
  "rate_limited",
  [429, "low", "security", "retry"],
  "Too many requests",
  "Wait for the time named in Retry-After. `security.requestsPerMinute` limits each caller, `security.requestsPerMinutePerAddress` and `security.failuresPerMinutePerAddress` each address.",
);
export const OriginRefusedError = line(
  "OriginRefusedError",
  "origin_refused",
  [403, "medium", "security", "final"],
  "The request comes from a host or page that is not allowed",
  "Only the server’s own addresses and those of `server.trustedHosts` and `cors.origins` are answered.",
);
export const PathRefusedError = line(
  "PathRefusedError",
  "path_refused",
  [403, "medium", "security", "final"],
  "The path is outside the allowed folders",
  "Only the local principal may name any path; others are confined to `storage.roots`.",
);
