import { protectSecret } from "#base/errors/index.ts";
import { sqliteFile } from "./addresses.ts";
import type { ConfigurationFault } from "./faults.ts";
import type { ConfigurationSources } from "./layers.ts";
import { planChange } from "./plan-change.ts";
import { readOrMakeSecret, writeStoredSettings } from "./private-files.ts";
import { readEverything, refuseFaults, type Loaded } from "./read-everything.ts";
import { toConfig, type ResolvedSetting } from "./resolve-settings.ts";
import type { Config } from "./settings.ts";
import { showSettings, type SettingsList } from "./show-settings.ts";

type ChangeListener = (config: Config, changed: readonly string[]) => void;

export type Configuration = {
  /** The current generation, frozen. Read it where it is used: a run-time change puts a new one in its place. */
  readonly config: Config;
  /** Counts up with every change that took effect; the start is 1. */
  readonly generation: number;
  /** What deserves attention; faults refuse the start, so these are warnings. */
  readonly faults: readonly ConfigurationFault[];
  /** Every setting with value, origin and shadowed values, secrets replaced. */
  list(): SettingsList;
  /**
   * Stores run-time settings and puts them into effect; null removes a stored one. All or nothing. Raises InputInvalidError for unknown
   * keys and bad values, SettingRefusedError for start-up keys and keys that a flag or the environment overrides,
   * ConfigurationInvalidError when the file was edited into something invalid. `changed` lists the keys whose effective value is another.
   */
  set(
    values: Readonly<Record<string, unknown>>,
  ): Promise<{ changed: string[]; generation: number }>;
  /** Calls `listener` after every change that took effect; the returned function ends that. */
  onChange(listener: ChangeListener): () => void;
};

/** This process's environment variables: the one place where they are read. On Windows names are put in upper case, where case means nothing. */
export function processEnvironment(): Readonly<Record<string, string | undefined>> {
  if (process.platform !== "win32") return { ...process.env };
  return Object.fromEntries(
    Object.entries(process.env).map(([name, value]) => [name.toUpperCase(), value]),
  );
}

/** Everything that is wrong with a configuration, faults and warnings, without loading it and without writing anything. */
export function checkConfiguration(sources: ConfigurationSources): ConfigurationFault[] {
  return readEverything(sources).faults;
}

/**
 * The data directory and its database file as all sources name them, without writing anything: for commands that must
 * not make a key where none is. Raises ConfigurationInvalidError when one of the two is not valid.
 */
export function findDataDirectory(sources: ConfigurationSources): {
  home: string;
  database: string;
} {
  const { resolved, faults } = readEverything(sources);
  refuseFaults(faults.filter(({ key }) => key === "storage.home" || key === "database.url"));
  const home = String(resolved.get("storage.home")?.value);
  return { home, database: sqliteFile(String(resolved.get("database.url")?.value), home) };
}

/**
 * Reads all sources. Raises ConfigurationInvalidError with every fault at once. In development and testing a missing secret key is made
 * once per data directory, which is the only thing that loading writes.
 */
export function loadConfiguration(sources: ConfigurationSources): Configuration {
  const loaded = readEverything(sources);
  refuseFaults(loaded.faults);
  const secret = secretOf(loaded);
  const state = { ...loaded, config: toConfig(withSecret(loaded.resolved, secret)), generation: 1 };
  const listeners = new Set<ChangeListener>();
  return {
    get config() {
      return state.config;
    },
    get generation() {
      return state.generation;
    },
    get faults() {
      return state.faults;
    },
    list: () => showSettings(withSecret(state.resolved, secret), state.generation, state.faults),
    // Without an await between reading and writing, so that changes at the same time follow one another.
    set: async (values) => {
      const { stored, next, resolved } = planChange(state, values);
      const nextConfig = toConfig(withSecret(resolved, secret));
      const changed = [...resolved.keys()].filter((key) => differs(state.resolved, resolved, key));
      writeStoredSettings(state.settingsFile, stored);
      state.layers = next;
      state.resolved = resolved;
      if (changed.length > 0) {
        state.config = nextConfig;
        state.generation += 1;
        notify(listeners, state.config, changed);
      }
      return { changed, generation: state.generation };
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** The generated secret key where none is configured, else null. */
function secretOf({ resolved, faults }: Loaded): string | null {
  if (resolved.get("security.secretKey")?.value !== undefined) return null;
  const home = String(resolved.get("storage.home")?.value);
  const { secret, exposed } = readOrMakeSecret(home);
  protectSecret(secret);
  if (exposed)
    faults.push({
      key: "security.secretKey",
      code: "secret_readable",
      message: `Other users of this machine can read ${home}/secret-key; run chmod 600 on it.`,
      severity: "warning",
    });
  return secret;
}

function withSecret(
  resolved: ReadonlyMap<string, ResolvedSetting>,
  secret: string | null,
): ReadonlyMap<string, ResolvedSetting> {
  const key = "security.secretKey";
  const entry = resolved.get(key);
  if (secret === null || entry === undefined) return resolved;
  return new Map(resolved).set(key, { ...entry, value: secret });
}

function differs(
  before: ReadonlyMap<string, ResolvedSetting>,
  after: ReadonlyMap<string, ResolvedSetting>,
  key: string,
): boolean {
  return JSON.stringify(before.get(key)?.value) !== JSON.stringify(after.get(key)?.value);
}

/** Every listener hears of the change, also when one of them fails; then its error rises, for the change is not fully in effect. */
function notify(
  listeners: ReadonlySet<ChangeListener>,
  config: Config,
  changed: readonly string[],
): void {
  const failures: unknown[] = [];
  for (const listener of listeners) {
    try {
      listener(config, changed);
    } catch (thrown) {
      failures.push(thrown);
    }
  }
  const [only] = failures;
  if (failures.length === 1) throw only;
  if (failures.length > 1)
    throw new AggregateError(
      failures,
      `${failures.length} parts could not take the changed settings`,
    );
}
