import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync, statSync, unwatchFile, watchFile } from "node:fs";
import { createSecureContext } from "node:tls";
import { ConfigurationInvalidError } from "#base/errors/index.ts";
import { addressVersion } from "./addresses.ts";
import type { ConfigurationFault, FaultCode } from "./faults.ts";

/** Where the certificate and its key lie; undefined: not set. */
export type CertificateFiles = {
  readonly tlsCertificate: string | undefined;
  readonly tlsKey: string | undefined;
};

/** A certificate that is valid now, with its key. */
export type Certificate = {
  /** The certificate and its chain, PEM. */
  readonly chain: string;
  /** The private key, PEM. */
  readonly key: string;
  /** SHA-256 of the certificate, as 32 pairs of hexadecimal digits with colons: what the command line pins. */
  readonly fingerprint: string;
  /** Whether clients that call the server by this name or address accept the certificate. */
  covers(name: string): boolean;
};

/** A certificate that is valid for fewer days is worth a warning; ACME clients renew 30 days before the end. */
const soonDays = 14;

/** How often the files are looked at, in ms. */
const lookEveryMs = 60_000;

type AddFault = (key: keyof CertificateFiles, code: FaultCode, message: string) => void;

/** Reads both files and says everything that is wrong with them; null: there is something, or neither file is set. */
export function checkCertificate(
  files: CertificateFiles,
  addFault: (fault: ConfigurationFault) => void,
): Certificate | null {
  const { tlsCertificate, tlsKey } = files;
  if (tlsCertificate === undefined && tlsKey === undefined) return null;
  const faulty: AddFault = (key, code, message) =>
    addFault({
      key: `server.${key}`,
      code,
      message: `server.${key}${message}`,
      severity: code === "tls_expiring" || code === "tls_key_readable" ? "warning" : "fault",
    });
  if (tlsCertificate === undefined)
    faulty("tlsCertificate", "tls_incomplete", " is missing, and server.tlsKey is set.");
  if (tlsKey === undefined)
    faulty("tlsKey", "tls_incomplete", " is missing, and server.tlsCertificate is set.");
  const chain = readText(tlsCertificate, "tlsCertificate", faulty);
  const keyText = readText(tlsKey, "tlsKey", faulty);
  const certificate = parseCertificate(chain, tlsCertificate, faulty);
  const key = parseKey(keyText, tlsKey, faulty);
  const holds =
    certificate !== null &&
    isValidNow(certificate, faulty) &&
    key !== null &&
    chain !== null &&
    keyText !== null &&
    belongTogether(certificate, key, faulty) &&
    isUsable({ chain, key: keyText }, faulty);
  if (!holds) return null;
  return {
    chain,
    key: keyText,
    fingerprint: certificate.fingerprint256,
    covers: (name) => {
      const bare = name.replace(/^\[|\]$/g, "");
      const found =
        addressVersion(bare) === null ? certificate.checkHost(bare) : certificate.checkIP(bare);
      return found !== undefined;
    },
  };
}

/** The certificate to serve with, or null for plain HTTP. Raises ConfigurationInvalidError with everything that is wrong. */
export function loadCertificate(files: CertificateFiles): Certificate | null {
  const faults: ConfigurationFault[] = [];
  const certificate = checkCertificate(files, (fault) => faults.push(fault));
  const refusing = faults.filter(({ severity }) => severity === "fault");
  if (refusing.length === 0) return certificate;
  throw new ConfigurationInvalidError(refusing.map(({ message }) => message).join("\n"));
}

/**
 * Looks at the files once a minute, by name, so that links which a renewal turns elsewhere are seen too. A certificate that can
 * be used is handed to `onRenewed` with the fingerprint of the one before; with a faulty one `onFault` is told, and the one in
 * use stays. Ends with the returned function.
 */
export function watchCertificate(
  files: CertificateFiles,
  current: Certificate,
  told: {
    onRenewed(certificate: Certificate, before: string): Promise<void>;
    onFault(thrown: unknown): void;
  },
  everyMs: number = lookEveryMs,
): () => void {
  const paths = [files.tlsCertificate, files.tlsKey].filter((path) => path !== undefined);
  const state = { fingerprint: current.fingerprint };
  const look = async () => {
    try {
      const found = loadCertificate(files);
      if (found === null || found.fingerprint === state.fingerprint) return;
      await told.onRenewed(found, state.fingerprint);
      state.fingerprint = found.fingerprint;
    } catch (thrown) {
      told.onFault(thrown);
    }
  };
  const onChange = () => void look();
  for (const path of paths) watchFile(path, { interval: everyMs, persistent: false }, onChange);
  return () => {
    for (const path of paths) unwatchFile(path, onChange);
  };
}

function readText(
  path: string | undefined,
  key: keyof CertificateFiles,
  faulty: AddFault,
): string | null {
  if (path === undefined) return null;
  try {
    if (key === "tlsKey" && process.platform !== "win32" && (statSync(path).mode & 0o007) !== 0)
      faulty(key, "tls_key_readable", ` ${path}: every user of this machine can read it.`);
    return readFileSync(path, "utf8");
  } catch (thrown) {
    faulty(key, "tls_unreadable", ` ${path} cannot be read: ${reasonOf(thrown)}.`);
    return null;
  }
}

function parseCertificate(
  chain: string | null,
  path: string | undefined,
  faulty: AddFault,
): X509Certificate | null {
  if (chain === null) return null;
  try {
    return new X509Certificate(chain);
  } catch (thrown) {
    const what = ` ${path} holds no certificate in PEM: ${reasonOf(thrown)}.`;
    faulty("tlsCertificate", "tls_invalid", what);
    return null;
  }
}

function parseKey(
  text: string | null,
  path: string | undefined,
  faulty: AddFault,
): KeyObject | null {
  if (text === null) return null;
  try {
    return createPrivateKey(text);
  } catch (thrown) {
    const what = ` ${path} holds no private key in PEM that opens without a password: ${reasonOf(thrown)}.`;
    faulty("tlsKey", "tls_invalid", what);
    return null;
  }
}

function isValidNow(certificate: X509Certificate, faulty: AddFault): boolean {
  const { validFromDate, validToDate } = certificate;
  const now = Date.now();
  const until = validToDate.toISOString();
  if (validToDate.getTime() <= now)
    faulty("tlsCertificate", "tls_expired", ` expired on ${until}.`);
  else if (validFromDate.getTime() > now)
    faulty(
      "tlsCertificate",
      "tls_expired",
      ` is not valid before ${validFromDate.toISOString()}; check the clock of this machine.`,
    );
  else {
    const daysLeft = (validToDate.getTime() - now) / 86_400_000;
    if (daysLeft < soonDays) faulty("tlsCertificate", "tls_expiring", ` expires on ${until}.`);
    return true;
  }
  return false;
}

function belongTogether(certificate: X509Certificate, key: KeyObject, faulty: AddFault): boolean {
  const own = createPublicKey(key).export({ type: "spki", format: "der" });
  if (own.equals(certificate.publicKey.export({ type: "spki", format: "der" }))) return true;
  faulty("tlsKey", "tls_mismatch", " is not the key of the certificate in server.tlsCertificate.");
  return false;
}

/** What TLS itself refuses: keys that are too short, a broken chain. */
function isUsable(pair: { chain: string; key: string }, faulty: AddFault): boolean {
  try {
    createSecureContext({ cert: pair.chain, key: pair.key, minVersion: "TLSv1.2" });
    return true;
  } catch (thrown) {
    faulty("tlsCertificate", "tls_invalid", ` cannot be used for TLS: ${reasonOf(thrown)}.`);
    return false;
  }
}

function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return "code" in thrown && typeof thrown.code === "string" && /^E[A-Z]+$/.test(thrown.code)
    ? thrown.code
    : thrown.message;
}
