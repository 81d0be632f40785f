import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { readIdentities, type AgeIdentity } from "./age-identity.ts";
import { openAgeFile } from "./open-age-file.ts";
import { openSopsDocument } from "./open-sops-document.ts";
import { readSopsDocument, type SopsDocument } from "./read-sops-document.ts";

/** Kinds of faults, the names that docs/configuration.md lists. */
export type SecretsFaultCode =
  | "secrets_unreadable"
  | "secrets_not_sops"
  | "secrets_recipient"
  | "secrets_identity"
  | "secrets_identity_exposed"
  | "secrets_wrong_key"
  | "secrets_tampered";

export type SecretsFault = { readonly code: SecretsFaultCode; readonly message: string };

/** Where the private key comes from, by the names that SOPS has for it. */
export type IdentitySource = {
  /** SOPS_AGE_KEY: the identities themselves. */
  readonly key: string | undefined;
  /** SOPS_AGE_KEY_FILE: a file of them. */
  readonly keyFile: string | undefined;
};

export type OpenedSecrets =
  | { readonly values: ReadonlyMap<string, string>; readonly plain: readonly string[] }
  | { readonly faults: readonly SecretsFault[] };

/** Larger than any honest file of secrets or keys. */
const largestFileBytes = 1024 * 1024;

/**
 * The values of a SOPS file (JSON or dotenv, age recipients), all verified; or every fault that can be told without the missing
 * parts. Writes nothing, keeps nothing, and no fault holds content of the file or of a key.
 */
export function openSecretsFile(path: string, source: IdentitySource): OpenedSecrets {
  const faults: SecretsFault[] = [];
  const add = (code: SecretsFaultCode, message: string) => void faults.push({ code, message });
  const identities = findIdentities(source, add);
  const file = readSmallFile(path);
  if ("fault" in file) {
    add("secrets_unreadable", `The secrets file ${path} ${file.fault}.`);
    return { faults };
  }
  const read = readSopsDocument(file.text, path);
  if ("fault" in read) {
    add("secrets_not_sops", `The secrets file ${path} ${read.fault}. ${read.nextStep}`);
    return { faults };
  }
  const recipientFault = findRecipientFault(read.document);
  if (recipientFault !== null)
    add("secrets_recipient", `The secrets file ${path} ${recipientFault}`);
  if (faults.length > 0) return { faults };
  const dataKey = openDataKey(read.document, identities);
  if ("fault" in dataKey)
    return {
      faults: [{ ...dataKey.fault, message: `The secrets file ${path} ${dataKey.fault.message}` }],
    };
  const opened = openSopsDocument(read.document, dataKey.key);
  if (!("fault" in opened)) return opened;
  add(
    "secrets_tampered",
    `The secrets file ${path} is refused: ${opened.fault}. Restore it from your backup, or write it anew with sops encrypt.`,
  );
  return { faults };
}

function findRecipientFault({ age, otherKeys, isSplit }: SopsDocument): string | null {
  const recipe = "Encrypt it for an age recipient: sops rotate --in-place --add-age <recipient>";
  if (isSplit)
    return "splits its key among groups of keys (Shamir), which Candor does not put together. Encrypt it for one group of age recipients.";
  if (age.length > 0) return null;
  if (otherKeys.length > 0)
    return `is encrypted for ${otherKeys.join(", ")} only; Candor opens it with an age key alone. ${recipe}`;
  return `names nobody who could open it. ${recipe}`;
}

function openDataKey(
  { age }: SopsDocument,
  identities: readonly AgeIdentity[],
): { key: Uint8Array } | { fault: SecretsFault } {
  const failed = new Set<string>();
  const kinds = new Set<string>();
  for (const armored of age) {
    const opened = openAgeFile(armored, identities);
    if ("content" in opened) {
      if (opened.content.length === 32) return { key: opened.content };
      failed.add("damaged");
      continue;
    }
    failed.add(opened.fault);
    for (const kind of opened.recipients) kinds.add(kind);
  }
  if (failed.has("damaged"))
    return {
      fault: {
        code: "secrets_tampered",
        message:
          "is refused: its sealed data key (sops.age) is damaged. Restore it from your backup, or write it anew with sops encrypt.",
      },
    };
  if (failed.has("wrong key"))
    return {
      fault: {
        code: "secrets_wrong_key",
        message: `is encrypted for ${age.length === 1 ? "another age key" : `${age.length} age keys`}, and none of the ${identities.length} given opens it. Give the identity of one of its recipients (sops.age) in SOPS_AGE_KEY or SOPS_AGE_KEY_FILE.`,
      },
    };
  return {
    fault: {
      code: "secrets_recipient",
      message: `is encrypted for age recipients of another kind (${[...kinds].join(", ").slice(0, 100)}); Candor opens X25519, whose recipients begin with age1.`,
    },
  };
}

function findIdentities(
  { key, keyFile }: IdentitySource,
  add: (code: SecretsFaultCode, message: string) => void,
): readonly AgeIdentity[] {
  const found: AgeIdentity[] = [];
  const take = (text: string, place: string) => {
    const { identities, faults } = readIdentities(text);
    found.push(...identities);
    for (const fault of faults) add("secrets_identity", `${place}, ${fault}.`);
    if (identities.length === 0 && faults.length === 0)
      add(
        "secrets_identity",
        `${place} holds no age identity, a line that begins with AGE-SECRET-KEY-1.`,
      );
  };
  if (key === undefined && keyFile === undefined)
    add(
      "secrets_identity",
      "A secrets file is named, but no key that opens it. Set SOPS_AGE_KEY_FILE to the file that age-keygen wrote, or SOPS_AGE_KEY to the identity in it; Candor looks nowhere else.",
    );
  if (key !== undefined) take(key, "SOPS_AGE_KEY");
  if (keyFile === undefined) return found;
  const file = readSmallFile(keyFile);
  if ("fault" in file) add("secrets_identity", `SOPS_AGE_KEY_FILE: ${keyFile} ${file.fault}.`);
  else {
    if (file.isExposed)
      add(
        "secrets_identity_exposed",
        `SOPS_AGE_KEY_FILE: every user of this machine can read or replace ${keyFile}. Run chmod 600 on it; if others had access to this machine, make a new key with age-keygen.`,
      );
    take(file.text, `SOPS_AGE_KEY_FILE ${keyFile}`);
  }
  return found;
}

/** A regular file of honest size as text, and whether others may read or change it (the owner's group may read it). */
function readSmallFile(path: string): { text: string; isExposed: boolean } | { fault: string } {
  let descriptor: number | undefined;
  try {
    // Without waiting: a pipe would never open.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const facts = fstatSync(descriptor);
    if (!facts.isFile())
      return { fault: facts.isDirectory() ? "is a folder" : "is not a regular file" };
    if (facts.size > largestFileBytes) return { fault: `is larger than ${largestFileBytes} bytes` };
    const text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(descriptor));
    return { text, isExposed: process.platform !== "win32" && (facts.mode & 0o026) !== 0 };
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : null;
    if (code === "ENOENT" || code === "ENOTDIR") return { fault: "does not exist" };
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") return { fault: "is not UTF-8 text" };
    if (typeof code === "string") return { fault: `cannot be read: ${code}` };
    throw thrown;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
