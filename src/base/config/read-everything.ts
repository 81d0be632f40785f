import { availableParallelism, homedir } from "node:os";
import { protectSecret } from "#base/errors/index.ts";
import { checkSafety } from "./check-production.ts";
import type { DefaultFacts } from "./define-setting.ts";
import { toConfigurationError, type ConfigurationFault } from "./faults.ts";
import { readLayers, type ConfigurationSources, type Layer } from "./layers.ts";
import { findPackage } from "./package-folder.ts";
import { resolveSettings, type ResolvedSetting } from "./resolve-settings.ts";
import { settingsByKey } from "./settings.ts";
import { parseHeaderList } from "./trace-export.ts";

/** What all sources say together. */
export type Loaded = {
  readonly layers: readonly Layer[];
  readonly facts: DefaultFacts;
  readonly settingsFile: string;
  readonly resolved: Map<string, ResolvedSetting>;
  readonly faults: ConfigurationFault[];
};

/** Reads and checks every source; throws nothing, writes nothing. */
export function readEverything(sources: ConfigurationSources): Loaded {
  const faults: ConfigurationFault[] = [];
  const addFault = (fault: ConfigurationFault) => void faults.push(fault);
  const facts: DefaultFacts = {
    cores: availableParallelism(),
    homeFolder: homedir(),
    packageFolder: findPackage().folder,
    role: sources.role ?? "command",
  };
  const { layers, home, settingsFile } = readLayers(sources, facts.homeFolder, addFault);
  protectSecrets(layers);
  const resolved = resolveSettings(layers, facts, addFault);
  const named = resolved.get("storage.home");
  if (typeof named?.value === "string" && named.value !== home)
    addFault({
      key: "storage.home",
      code: "home_disagrees",
      message: `storage.home: the .env of the data directory ${home} names another one, ${named.value}. Set ${named.variable} in the environment instead.`,
      severity: "fault",
    });
  checkSafety(resolved, sources.serves === true, addFault);
  return { layers, facts, settingsFile, resolved, faults };
}

/** Raises ConfigurationInvalidError with all faults when there is one; warnings pass. */
export function refuseFaults(faults: readonly ConfigurationFault[]): void {
  if (faults.some(({ severity }) => severity === "fault"))
    throw toConfigurationError(faults, (key) => settingsByKey.has(key));
}

/** Makes every configured secret unspeakable in messages and logs, in each form it may appear. */
function protectSecrets(layers: readonly Layer[]): void {
  for (const { given } of layers) {
    const key = given.get("security.secretKey")?.value;
    if (typeof key === "string") protectSecret(key);
    const headers = given.get("telemetry.headers")?.value;
    if (typeof headers === "string") protectHeaders(headers);
    const address = given.get("database.url")?.value;
    const password =
      typeof address === "string" && URL.canParse(address) && new URL(address).password;
    if (!password) continue;
    protectSecret(password);
    if (!/%(?![0-9a-f]{2})/i.test(password)) protectSecret(decodeURIComponent(password));
  }
}

/** The list as it was given and each value as it is sent, also without the scheme before a token. */
function protectHeaders(list: string): void {
  protectSecret(list);
  for (const value of Object.values(parseHeaderList(list))) {
    protectSecret(value);
    protectSecret(value.replace(/^\S+ +/, ""));
  }
}
