import { dirname, join } from "node:path";
import { protectSecret } from "#base/errors/index.ts";
import { openSecretsFile } from "#base/secrets/index.ts";
import { readDotenv, readStoredSettings } from "./configuration-files.ts";
import { addDatabaseParts, databasePartNames } from "./database-parts.ts";
import type { ConfigurationFault } from "./faults.ts";
import { readValue } from "./read-value.ts";
import { environmentNames, settingsByKey } from "./settings.ts";

/** Where a value came from, the strongest first. */
export type Origin = "flag" | "environment" | "secrets file" | ".env" | "stored" | "default";

/** What one source says: raw values by setting key, with the variable that holds each. */
export type Layer = {
  readonly origin: Exclude<Origin, "default">;
  /** The file, for sources that are files. */
  readonly file: string | null;
  /** Relative places count from here. */
  readonly folder: string;
  readonly given: Map<string, { readonly value: unknown; readonly variable: string | null }>;
};

type Variables = Readonly<Record<string, string | undefined>>;

/** What a program hands over to be configured. */
export type ConfigurationSources = {
  /** Command-line values by setting key (`server.port`); undefined ones are absent. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Variables;
  readonly workingDirectory: string;
  /** `server` for `candor serve`: log lines then go to standard error unless set otherwise. */
  readonly role?: "server" | "command";
  /** Whether this process is going to listen as the settings say: then a certificate that cannot be used refuses the start. */
  readonly serves?: boolean;
};

/** Variables of ours that are not settings: the launcher's. */
const otherNames = ["CANDOR_NODE"];

const ourNames: ReadonlySet<string> = new Set([
  ...[...settingsByKey.keys()].flatMap((key) => environmentNames(key)),
  ...databasePartNames,
  ...otherNames,
]);

/** All sources as layers, the strongest first, and the data directory that was used to find two of them. */
export function readLayers(
  sources: ConfigurationSources,
  homeFolder: string,
  addFault: (fault: ConfigurationFault) => void,
): { layers: Layer[]; home: string; settingsFile: string } {
  const { flags, environment, workingDirectory } = sources;
  const variables: { layer: Layer; values: Variables }[] = [];
  const addVariables = (layer: Layer, values: Variables) => {
    takeVariables(layer, values, addFault);
    variables.push({ layer, values });
    return layer;
  };
  const flagLayer = createLayer("flag", null, workingDirectory);
  takeFlags(flagLayer, flags, addFault);
  const environmentLayer = addVariables(
    createLayer("environment", null, workingDirectory),
    environment,
  );
  const dotenv = (file: string) =>
    addVariables(
      createLayer(".env", file, dirname(file)),
      readDotenv(file, (name) => ourNames.has(name) || name.startsWith("CANDOR_"), addFault),
    );
  const here = dotenv(join(workingDirectory, ".env"));
  const home = findHome([flagLayer, environmentLayer, here], homeFolder);
  const layers = [flagLayer, environmentLayer];
  if (join(home, ".env") !== here.file) layers.push(dotenv(join(home, ".env")));
  layers.push(here);
  const secrets = readSecretsLayer(layers, environment, homeFolder, addFault);
  // Right below the environment: what is kept with more care counts more.
  if (secrets !== null) layers.splice(2, 0, addVariables(secrets.layer, secrets.values));
  refuseMisplaced(secrets?.layer, addFault);
  addDatabaseParts(variables, layers, addFault);
  const settingsFile = join(home, "settings.json");
  layers.push(readStoredLayer(settingsFile, addFault));
  return { layers, home, settingsFile };
}

/** Settings by which a secrets file is found cannot stand in it. */
const neverSecret = ["storage.home", "security.secretsFile"];

/** The variables of the SOPS file that `security.secretsFile` names, decrypted and verified; null without one, or with a fault. */
function readSecretsLayer(
  layers: readonly Layer[],
  { SOPS_AGE_KEY: key, SOPS_AGE_KEY_FILE: keyFile }: Variables,
  homeFolder: string,
  addFault: (fault: ConfigurationFault) => void,
): { layer: Layer; values: Variables } | null {
  const file = findPlace("security.secretsFile", layers, homeFolder);
  if (file === null) return null;
  for (const line of (key ?? "").split("\n")) protectSecret(line.trim());
  const opened = openSecretsFile(file, { key, keyFile });
  if ("faults" in opened) {
    for (const { code, message } of opened.faults)
      addFault({ key: "security.secretsFile", code, message, severity: "fault" });
    return null;
  }
  const { values, plain } = opened;
  for (const value of values.values()) protectSecret(value);
  for (const name of plain)
    if (ourNames.has(name))
      addFault({
        key: name,
        code: "secrets_plain",
        message: `${name} stands unencrypted in the secrets file ${file}, so it is not taken. Encrypt it with sops edit, or move it to the .env file.`,
        severity: "fault",
      });
  if (![...values.keys(), ...plain].some((name) => ourNames.has(name)))
    addFault({
      key: "security.secretsFile",
      code: "secrets_unused",
      message: `The secrets file ${file} holds none of the variables that Candor reads; \`candor config\` lists the names.`,
      severity: "warning",
    });
  return {
    layer: createLayer("secrets file", file, dirname(file)),
    values: Object.fromEntries(values),
  };
}

function refuseMisplaced(
  layer: Layer | undefined,
  addFault: (fault: ConfigurationFault) => void,
): void {
  for (const key of neverSecret) {
    const given = layer?.given.get(key);
    if (given === undefined || layer === undefined) continue;
    addFault({
      key,
      code: "secrets_misplaced",
      message: `${given.variable} is not read from a secrets file, for by it the file is found. Move it from ${layer.file} to the environment.`,
      severity: "fault",
    });
    layer.given.delete(key);
  }
}

/** The stored settings as a layer. Only run-time settings may stand there. */
export function readStoredLayer(
  settingsFile: string,
  addFault: (fault: ConfigurationFault) => void,
): Layer {
  const layer = createLayer("stored", settingsFile, dirname(settingsFile));
  for (const [key, value] of Object.entries(readStoredSettings(settingsFile, addFault))) {
    const setting = settingsByKey.get(key);
    if (setting?.runtime) layer.given.set(key, { value, variable: null });
    else if (setting === undefined)
      addFault({
        key,
        code: "setting_unknown",
        message: `${settingsFile}: there is no setting ${JSON.stringify(key)}; valid there: ${storableKeys.join(", ")}.`,
        severity: "fault",
        valid: storableKeys,
      });
    else
      addFault({
        key,
        code: "setting_not_storable",
        message: `${settingsFile}: ${key} is a start-up setting and is not read from there; set ${environmentNames(key)[0]} instead.`,
        severity: "fault",
      });
  }
  return layer;
}

/** The settings that may be stored: those that change at run time. */
export const storableKeys: readonly string[] = [...settingsByKey]
  .filter(([, setting]) => setting.runtime)
  .map(([key]) => key);

function createLayer(origin: Layer["origin"], file: string | null, folder: string): Layer {
  return { origin, file, folder, given: new Map() };
}

function takeFlags(
  layer: Layer,
  flags: ConfigurationSources["flags"],
  addFault: (fault: ConfigurationFault) => void,
): void {
  for (const [key, value] of Object.entries(flags)) {
    if (value === undefined) continue;
    if (settingsByKey.has(key)) layer.given.set(key, { value, variable: null });
    else
      addFault({
        key,
        code: "setting_unknown",
        message: `There is no setting ${JSON.stringify(key)} for a flag to set; valid: ${[...settingsByKey.keys()].join(", ")}.`,
        severity: "fault",
        valid: [...settingsByKey.keys()],
      });
  }
}

function takeVariables(
  layer: Layer,
  variables: Variables,
  addFault: (fault: ConfigurationFault) => void,
): void {
  const where = layer.file ?? "the environment";
  for (const key of settingsByKey.keys()) {
    const names = environmentNames(key).filter((name) => variables[name] !== undefined);
    const [name] = names;
    if (name === undefined) continue;
    layer.given.set(key, { value: variables[name], variable: name });
    if (new Set(names.map((each) => variables[each])).size > 1)
      addFault({
        key,
        code: "names_disagree",
        message: `${key}: ${names.join(" and ")} both stand in ${where} with different values; keep one.`,
        severity: "fault",
      });
  }
  for (const name of Object.keys(variables))
    if (name.startsWith("CANDOR_") && !ourNames.has(name))
      addFault({
        key: name,
        code: "variable_unknown",
        message: `${name}, set in ${where}, is not a variable of Candor and has no effect; \`candor config\` lists the names.`,
        severity: "warning",
      });
}

/** The data directory as far as these layers say. */
function findHome(layers: readonly Layer[], homeFolder: string): string {
  return findPlace("storage.home", layers, homeFolder) ?? join(homeFolder, ".candor");
}

/** The strongest valid place of a setting, or null; an invalid value is reported when all settings are read. */
function findPlace(key: string, layers: readonly Layer[], homeFolder: string): string | null {
  const setting = settingsByKey.get(key);
  for (const layer of layers) {
    const given = layer.given.get(key);
    if (given === undefined || setting === undefined) continue;
    const outcome = readValue(setting, given.value, { folder: layer.folder, homeFolder });
    if (outcome.valid && typeof outcome.value === "string") return outcome.value;
  }
  return null;
}
