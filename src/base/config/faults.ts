import { ConfigurationInvalidError, type FieldFault } from "#base/errors/index.ts";

/** Every kind of fault with its remedy: the source of the troubleshooting table in docs/configuration.md. */
export const faultCatalogue = {
  setting_invalid:
    "The value is out of range or of the wrong kind; the message says what is valid.",
  setting_unknown: "No setting has this name. Check the spelling against the tables above.",
  setting_not_storable:
    "Start-up settings are not stored. Remove it from settings.json and set its environment name.",
  names_disagree: "Two names set the same thing to different values. Remove one.",
  variable_unknown:
    "A CANDOR_ variable that nothing reads, most often a typing error. Correct or remove it.",
  variable_unused: "Another setting makes this variable meaningless. Remove it.",
  dotenv_malformed:
    "A line of a `.env` file is not NAME=value. Correct the line that the message names.",
  settings_malformed:
    "settings.json is not a JSON object. Correct it, or delete it to return to the defaults.",
  file_unreadable:
    "A configuration file exists but cannot be read. Check its kind and permissions.",
  home_disagrees:
    "The data directory's own `.env` names another data directory. Set CANDOR_HOME elsewhere.",
  database_parts:
    "DATABASE_HOST and its companions do not make an address. Set DATABASE_URL instead.",
  secret_missing: "Production needs a secret key of your own.",
  secret_generated:
    "No secret key is set; this data directory has one of its own. Set SECRET_KEY to choose it.",
  secret_short: "The secret key has fewer than 32 characters.",
  secret_guessable: "The secret key contains `dev` or `test`, as examples do.",
  secret_readable:
    "Other users of this machine can read the generated secret key. Run chmod 600 on it.",
  redaction_off: "Secrets would reach the logs. Turn logging.redaction on.",
  bind_public:
    "Other machines can reach the server, over unencrypted HTTP. Set server.tlsCertificate and server.tlsKey, put a TLS proxy in front, or bind 127.0.0.1.",
  tls_incomplete:
    "HTTPS needs the certificate and its key. Set both server.tlsCertificate and server.tlsKey, or neither.",
  tls_unreadable:
    "The file of the certificate or of its key cannot be read. Check the path, and that this user may read it.",
  tls_invalid:
    "The file holds no certificate or key in PEM that TLS can use. Keys are not encrypted with a password.",
  tls_mismatch:
    "The key is not the one of the certificate. Name the two files that were made together.",
  tls_expired:
    "The certificate has expired or is not valid yet: clients would refuse it. Renew it.",
  tls_expiring: "The certificate expires soon. A renewed file is taken into use without a restart.",
  tls_key_readable:
    "Every user of this machine can read the key of the certificate. Run chmod 600 on it.",
  secrets_unreadable:
    "The secrets file is missing, too large or no text. Check the path in CANDOR_SECRETS_FILE.",
  secrets_not_sops:
    "The secrets file is not JSON or dotenv as SOPS writes it. The message names the command that makes it so.",
  secrets_recipient:
    "The secrets file is encrypted for keys that Candor cannot use. Add an age recipient with sops rotate.",
  secrets_identity:
    "No age identity was given, or what was given is none. Set SOPS_AGE_KEY_FILE or SOPS_AGE_KEY.",
  secrets_identity_exposed:
    "Other users of this machine can read or replace the file of the age identity. Run chmod 600 on it.",
  secrets_wrong_key:
    "The secrets file is encrypted for other age keys than the ones given. Give one of its recipients.",
  secrets_tampered:
    "The secrets file was changed after it was encrypted. Restore it, or encrypt it anew.",
  secrets_plain:
    "A variable of Candor stands unencrypted in the secrets file. Encrypt it, or move it elsewhere.",
  secrets_misplaced:
    "The data directory and the secrets file itself are named in the environment, not in a secrets file.",
  secrets_unused: "Nothing in the secrets file is a variable of Candor. Check the names.",
  sqlite_in_production:
    "The embedded database serves one machine. That is fine for a single server; keep backups.",
} as const;

export type FaultCode = keyof typeof faultCatalogue;

/** Something wrong with the configuration. A `fault` refuses the start, a `warning` is shown. */
export type ConfigurationFault = {
  /** The setting, or the variable or file where it concerns no setting. */
  readonly key: string;
  readonly code: FaultCode;
  readonly message: string;
  readonly severity: "fault" | "warning";
  /** The whole closed choice, where there is one. */
  readonly valid?: readonly unknown[];
};

/** The command that makes a good secret key, on every platform and every Node. */
export const secretCommand = `node -p "require('node:crypto').randomBytes(32).toString('hex')"`;

/** The JSON pointer of a setting's key (`/server/port`) or of another name (`/CANDOR_PROT`). */
function pointerOf(key: string, isSetting: boolean): string {
  const escaped = key.replaceAll("~", "~0").replaceAll("/", "~1");
  return `/${isSetting ? escaped.replaceAll(".", "/") : escaped}`;
}

/** Every fault in one error; warnings are not in it. */
export function toConfigurationError(
  faults: readonly ConfigurationFault[],
  isSetting: (key: string) => boolean,
): Error {
  const refusing = faults.filter(({ severity }) => severity === "fault");
  const errors = refusing.map(({ key, message, valid }): FieldFault => ({
    pointer: pointerOf(key, isSetting(key)),
    message,
    ...(valid === undefined ? {} : { valid }),
  }));
  const title = refusing.length === 1 ? "a fault" : `${refusing.length} faults`;
  return new ConfigurationInvalidError(
    [`The configuration has ${title}:`, ...refusing.map(({ message }) => `- ${message}`)].join(
      "\n",
    ),
    {
      errors,
      nextStep: {
        text: "Correct them all and start again; `candor config` shows every value and its origin.",
      },
    },
  );
}
