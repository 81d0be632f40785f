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
    "Other machines can reach the server, over unencrypted HTTP. Put a TLS proxy in front, or bind 127.0.0.1.",
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
