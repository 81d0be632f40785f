import { dirname } from "node:path";
import { InputInvalidError, SettingRefusedError } from "#base/errors/index.ts";
import type { DefaultFacts } from "./define-setting.ts";
import type { ConfigurationFault } from "./faults.ts";
import { readStoredLayer, storableKeys, type Layer } from "./layers.ts";
import { refuseFaults, type Loaded } from "./read-everything.ts";
import { readValue } from "./read-value.ts";
import { placeOf, resolveSettings, type ResolvedSetting } from "./resolve-settings.ts";
import { environmentNames, settingsByKey } from "./settings.ts";

/** Checks a change against the file as it is now and says what would be stored and in force. */
export function planChange(
  state: Loaded,
  values: Readonly<Record<string, unknown>>,
): { stored: Record<string, unknown>; next: Layer[]; resolved: Map<string, ResolvedSetting> } {
  refuseBadInput(state, values);
  const faults: ConfigurationFault[] = [];
  const addFault = (fault: ConfigurationFault) => void faults.push(fault);
  const layer = readStoredLayer(state.settingsFile, addFault);
  for (const [key, value] of Object.entries(values)) {
    if (value === null) layer.given.delete(key);
    else layer.given.set(key, { value, variable: null });
  }
  const next = [...state.layers.filter(({ origin }) => origin !== "stored"), layer];
  const resolved = resolveSettings(next, state.facts, addFault);
  refuseFaults(faults);
  const stored = Object.fromEntries(
    [...layer.given.keys()].map((key) => [key, storedValue(key, layer, state.facts)]),
  );
  return { stored, next, resolved };
}

/** What is stored is what was understood: `"INFO"` as `"info"`. */
function storedValue(key: string, layer: Layer, { homeFolder }: DefaultFacts): unknown {
  const setting = settingsByKey.get(key);
  const given = layer.given.get(key)?.value;
  const outcome = setting && readValue(setting, given, { folder: layer.folder, homeFolder });
  return outcome?.valid ? outcome.value : given;
}

function refuseBadInput(state: Loaded, values: Readonly<Record<string, unknown>>): void {
  const at = { folder: dirname(state.settingsFile), homeFolder: state.facts.homeFolder };
  const bad = Object.entries(values).flatMap(([key, value]) => {
    const pointer = `/values/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    const setting = settingsByKey.get(key);
    if (setting === undefined)
      return [
        { pointer, message: `there is no setting ${JSON.stringify(key)}`, valid: storableKeys },
      ];
    if (value === null) return [];
    const outcome = readValue(setting, value, at);
    if (outcome.valid) return [];
    const message = `${key}: ${outcome.explanation}`;
    return [
      { pointer, message, ...(outcome.choice === undefined ? {} : { valid: outcome.choice }) },
    ];
  });
  if (bad.length > 0)
    throw new InputInvalidError(
      `Nothing was changed: ${bad.map(({ message }) => message).join("; ")}. Settings that can be changed: ${storableKeys.join(", ")}.`,
      { errors: bad },
    );
  const refused = Object.keys(values).flatMap((key) => refusalOf(key, state.layers));
  if (refused.length > 0)
    throw new SettingRefusedError(`Nothing was changed: ${refused.join("; ")}.`);
}

function refusalOf(key: string, layers: readonly Layer[]): string[] {
  if (!storableKeys.includes(key))
    return [
      `${key} is read at the start only; set ${environmentNames(key)[0]} and restart (at run time: ${storableKeys.join(", ")})`,
    ];
  const stronger = layers.find(({ origin, given }) => origin !== "stored" && given.has(key));
  if (stronger === undefined) return [];
  const place = placeOf(stronger, stronger.given.get(key)?.variable ?? null);
  const named = stronger.origin === "flag" ? "a command-line flag" : place;
  return [`${key} is set by ${named}, which is stronger than what is stored; change it there`];
}
