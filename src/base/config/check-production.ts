import { isLoopback } from "./addresses.ts";
import { checkCertificate } from "./certificate.ts";
import { secretCommand, type ConfigurationFault } from "./faults.ts";
import type { ResolvedSetting } from "./resolve-settings.ts";

/** Shortest secret key that production accepts, in characters: 32 hexadecimal ones are 128 bits. */
const shortestSecret = 32;

/**
 * What would make this configuration unsafe: faults in production, warnings elsewhere. `serves`: for a server that others reach. Settings whose value is invalid are left out,
 * for they have their own fault. (That everybody signs in is no setting, so there is no check that it is on.)
 */
export function checkSafety(
  resolved: ReadonlyMap<string, ResolvedSetting>,
  serves: boolean,
  addFault: (fault: ConfigurationFault) => void,
): void {
  const value = (key: string) => resolved.get(key)?.value;
  const production = value("environment") === "production";
  const severity = production ? "fault" : "warning";
  checkSecret(resolved, production, addFault);
  if (value("logging.redaction") === false)
    addFault({
      key: "logging.redaction",
      code: "redaction_off",
      message: "logging.redaction is off: secrets reach the logs.",
      severity,
    });
  checkTls(resolved, serves, addFault);
  const host = value("server.host");
  const hasTls = value("server.tlsCertificate") !== undefined;
  if (typeof host === "string" && !isLoopback(host) && !hasTls)
    addFault({
      key: "server.host",
      code: "bind_public",
      message: `server.host ${host} can be reached from other machines over unencrypted HTTP. Every request needs a key; set server.tlsCertificate and server.tlsKey, or put a TLS proxy in front and name its host in server.trustedHosts.`,
      severity: "warning",
    });
  const address = value("database.url");
  if (production && typeof address === "string" && address.startsWith("sqlite:"))
    addFault({
      key: "database.url",
      code: "sqlite_in_production",
      message: "database.url is the embedded SQLite database, which serves one machine.",
      severity: "warning",
    });
}

/**
 * What is wrong with the certificate refuses the start of a server. A command serves nobody but itself: it must be able to
 * say what is wrong, and to talk to a server whose certificate has expired meanwhile.
 */
function checkTls(
  resolved: ReadonlyMap<string, ResolvedSetting>,
  serves: boolean,
  addFault: (fault: ConfigurationFault) => void,
): void {
  const path = (key: string) => {
    const value = resolved.get(key)?.value;
    return typeof value === "string" ? value : undefined;
  };
  checkCertificate(
    { tlsCertificate: path("server.tlsCertificate"), tlsKey: path("server.tlsKey") },
    (fault) => addFault(serves ? fault : { ...fault, severity: "warning" }),
  );
}

function checkSecret(
  resolved: ReadonlyMap<string, ResolvedSetting>,
  production: boolean,
  addFault: (fault: ConfigurationFault) => void,
): void {
  const key = "security.secretKey";
  const entry = resolved.get(key);
  const secret = entry?.value;
  const severity = production ? "fault" : "warning";
  const given = entry !== undefined && entry.origin !== "default";
  if (!given && production)
    addFault({
      key,
      code: "secret_missing",
      message: `security.secretKey is missing. Make one with: ${secretCommand}\n  and set it as SECRET_KEY.`,
      severity: "fault",
    });
  if (!given && !production)
    addFault({
      key,
      code: "secret_generated",
      message: `No secret key is configured: one generated for this data directory is used. Make your own with: ${secretCommand}\n  and set it as SECRET_KEY.`,
      severity: "warning",
    });
  if (typeof secret !== "string") return;
  if (secret.length < shortestSecret)
    addFault({
      key,
      code: "secret_short",
      message: `security.secretKey has ${secret.length} characters, fewer than ${shortestSecret}. Make one with: ${secretCommand}`,
      severity,
    });
  if (/dev|test/i.test(secret))
    addFault({
      key,
      code: "secret_guessable",
      message: `security.secretKey contains "dev" or "test", as examples do. Make one with: ${secretCommand}`,
      severity,
    });
}
