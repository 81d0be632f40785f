import { faultCatalogue, secretCommand } from "./faults.ts";
import type { Setting } from "./define-setting.ts";
import { isFound } from "./resolve-settings.ts";
import { environmentNames, settingsByKey } from "./settings.ts";

/** `docs/configuration.md`, from the table of settings and the catalogue of faults. */
export function renderConfigurationReference(): string {
  const sections = new Map<string, [string, Setting][]>();
  for (const [key, setting] of settingsByKey) {
    const section = key.includes(".") ? key.slice(0, key.indexOf(".")) : "environment";
    sections.set(section, [...(sections.get(section) ?? []), [key, setting]]);
  }
  const tables = [...sections].map(
    ([section, members]) => `## ${section}\n\n${settingsTable(members)}`,
  );
  return `${[beginning, ...tables, secrets, examples, moving, troubleshooting()].join("\n\n")}\n`;
}

function settingsTable(members: readonly (readonly [string, Setting])[]): string {
  return table(
    ["Setting", "Environment", "Default", "Valid", "At run time", "What it does"],
    members.map(([key, setting]) => [
      `\`${key}\``,
      environmentNames(key)
        .map((name) => `\`${name}\``)
        .join(", "),
      defaultText(setting),
      setting.rule,
      setting.runtime ? "yes" : "at start",
      setting.secret ? `${setting.description} Shown redacted.` : setting.description,
    ]),
  );
}

function defaultText({ standard }: Setting): string {
  if (standard === null) return "none";
  if (isFound(standard)) return standard.text;
  if (Array.isArray(standard)) return standard.length === 0 ? "none" : `\`${standard.join(", ")}\``;
  return `\`${typeof standard === "string" ? standard : JSON.stringify(standard)}\``;
}

const beginning = `# Configuration

Generated from the table of settings in \`src/base/config/settings.ts\`; \`candor config\` shows every value in force, where it came from and what it hides.

A value is taken from the first of these that names it:

1. a command-line flag,
2. an environment variable,
3. the secrets file, where one is named,
4. the \`.env\` file in the data directory, then the one in the working directory,
5. the stored settings, \`settings.json\` in the data directory, which \`candor config set\` writes (only settings that change at run time),
6. the default.

Every setting has the environment name \`CANDOR_<SECTION>_<KEY>\`; some have a short name too. Two names for one setting with different values are a fault. So is any value out of its range: all faults are listed at once, and the start is refused. A \`CANDOR_\` variable that nothing reads is a warning.

Lists are written with commas between the entries (\`a, b\`), or as a JSON list where an entry holds a comma. Switches are \`true\` or \`false\` (also \`1\`/\`0\`, \`yes\`/\`no\`, \`on\`/\`off\`). Relative folders count from the working directory, in a \`.env\` file from the folder of that file; \`~\` is your home folder. In a \`.env\` file put values that hold \`#\` or quotes into quotes.`;

const secrets = `## Secrets file

Secrets need not stand in the environment or in a \`.env\` file in plain text: a file of variables that SOPS (https://getsops.io) encrypted for an age key may hold them, as JSON with one value per name or as dotenv.

\`\`\`sh
age-keygen --output candor-age-key.txt
sops encrypt --age <the public key that age-keygen showed> secrets.env > secrets.enc.env
CANDOR_SECRETS_FILE=secrets.enc.env SOPS_AGE_KEY_FILE=candor-age-key.txt candor serve
\`\`\`

\`SOPS_AGE_KEY_FILE\` names the file of the private key, which other users of the machine must not be able to read; \`SOPS_AGE_KEY\` holds the key itself. Candor looks for keys nowhere else, reads both from the environment only, and opens X25519 age keys only: no PGP, no key service of a cloud, no passphrase, no key split among several. Every value and the sum over all of them are verified, or nothing is taken. Decrypted values are never written and are removed from logs and messages. The file is read once, at the start. An unencrypted value is not taken from it, and neither are \`CANDOR_HOME\` and \`CANDOR_SECRETS_FILE\`.`;

const examples = `## Examples

A server for one machine, on another port, with its own data directory:

\`\`\`sh
CANDOR_HOME=/srv/candor candor serve --port 8080
\`\`\`

A \`.env\` file for production behind a TLS proxy:

\`\`\`sh
CANDOR_ENV=production
SECRET_KEY=<the output of the command below>
TRUSTED_HOSTS=candor.example.org
CORS_ORIGINS=https://studio.example.org
LOG_LEVEL=warn
\`\`\`

The command that makes a secret key:

\`\`\`sh
${secretCommand}
\`\`\`

More detail in the log of a running server, and back again:

\`\`\`sh
candor config set logging.level debug
candor config set logging.level info
\`\`\``;

const moving = `## Moving an installation

From development to production: set \`CANDOR_ENV=production\` and a \`SECRET_KEY\` of your own; the generated one is not used there, so everybody signs in again. To another machine: stop Candor, copy the data directory, set \`CANDOR_HOME\` to where it now lies. Settings that the new version does not know are named at the start; remove them.`;

function troubleshooting(): string {
  const rows = Object.entries(faultCatalogue).map(([code, help]) => [`\`${code}\``, help]);
  return `## Troubleshooting\n\nThe codes of faults and warnings, with the remedy.\n\n${table(["Code", "Meaning and remedy"], rows)}`;
}

/** A Markdown table with columns of equal width, as the formatter leaves it. */
function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = titles.map((title, column) =>
    Math.max(3, title.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(titles), line(widths.map((width) => "-".repeat(width))), ...cells.map(line)].join(
    "\n",
  );
}
