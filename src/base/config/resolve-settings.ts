import type { DefaultFacts, Setting } from "./define-setting.ts";
import type { ConfigurationFault } from "./faults.ts";
import type { Layer, Origin } from "./layers.ts";
import { readValue } from "./read-value.ts";
import { environmentNames, settingsByKey, type Config } from "./settings.ts";

/** One setting with all that was said about it. */
export type ResolvedSetting = {
  readonly key: string;
  readonly setting: Setting;
  /** undefined: no value, or an invalid one (then there is a fault). */
  readonly value: unknown;
  readonly origin: Origin;
  /** The variable that gave the value; where none did, the one that would. */
  readonly variable: string;
  /** Weaker values, the strongest first, the default last. */
  readonly shadowed: readonly { readonly origin: Origin; readonly value: unknown }[];
};

/** Every setting with its strongest value. An invalid effective value is a fault, an invalid shadowed one a warning. */
export function resolveSettings(
  layers: readonly Layer[],
  facts: DefaultFacts,
  addFault: (fault: ConfigurationFault) => void,
): Map<string, ResolvedSetting> {
  const resolved = new Map<string, ResolvedSetting>();
  for (const [key, setting] of settingsByKey) {
    const said: { origin: Origin; value: unknown; variable: string | null }[] = [];
    for (const layer of layers) {
      const given = layer.given.get(key);
      if (given === undefined) continue;
      const at = { folder: layer.folder, homeFolder: facts.homeFolder };
      const outcome = readValue(setting, given.value, at);
      if (!outcome.valid)
        addFault({
          key,
          code: "setting_invalid",
          message: `${key} (${placeOf(layer, given.variable)}): ${outcome.explanation}.`,
          severity: said.length === 0 ? "fault" : "warning",
          ...(outcome.choice === undefined ? {} : { valid: outcome.choice }),
        });
      const value = outcome.valid ? outcome.value : undefined;
      said.push({ origin: layer.origin, value, variable: given.variable });
    }
    if (setting.standard !== null)
      said.push({ origin: "default", value: defaultOf(setting, facts), variable: null });
    const [effective, ...shadowed] = said;
    resolved.set(key, {
      key,
      setting,
      value: effective?.value,
      origin: effective?.origin ?? "default",
      variable: effective?.variable ?? environmentNames(key)[0] ?? key,
      shadowed: shadowed
        .filter(({ value }) => value !== undefined)
        .map(({ origin, value }) => ({ origin, value })),
    });
  }
  return resolved;
}

/** Where a value stands, for messages: `CANDOR_PORT`, `CANDOR_PORT in /srv/.env`, `/data/settings.json`, `flag`. */
export function placeOf(layer: Layer, variable: string | null): string {
  if (layer.file === null) return variable ?? "flag";
  return variable === null ? layer.file : `${variable} in ${layer.file}`;
}

/** The values as one frozen tree. Every setting must have its value: call only when there is no fault. */
export function toConfig(resolved: ReadonlyMap<string, ResolvedSetting>): Config {
  const tree: Record<string, unknown> = {};
  for (const [key, { value }] of resolved) {
    const frozen = Array.isArray(value) ? Object.freeze([...(value as unknown[])]) : value;
    const [section = key, name] = key.split(".");
    if (name === undefined) tree[section] = frozen;
    else tree[section] = { ...(tree[section] as object | undefined), [name]: frozen };
  }
  for (const section of Object.values(tree)) Object.freeze(section);
  return Object.freeze(tree) as Config;
}

function defaultOf(setting: Setting, facts: DefaultFacts): unknown {
  const { standard } = setting;
  return isFound(standard) ? standard.find(facts) : standard;
}

/** Whether a default depends on the machine. */
export function isFound(
  standard: unknown,
): standard is { readonly text: string; find(facts: DefaultFacts): unknown } {
  return (
    typeof standard === "object" && standard !== null && "find" in standard && "text" in standard
  );
}
