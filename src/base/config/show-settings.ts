import { redacted } from "#base/errors/index.ts";
import { databaseScheme } from "./addresses.ts";
import type { SettingRange } from "./define-setting.ts";
import type { ConfigurationFault } from "./faults.ts";
import type { Origin } from "./layers.ts";
import type { ResolvedSetting } from "./resolve-settings.ts";

/** One setting as every door shows it; secrets are replaced. */
export type ShownSetting = {
  key: string;
  value: unknown;
  origin: Origin;
  /** The environment name that gave the value; where none did, the one that would. */
  variable: string;
  shadowed: { origin: Origin; value: unknown }[];
  runtime: boolean;
  secret: boolean;
  range: SettingRange | null;
  description: string;
};

/** Every setting with its origin, and what is wrong. */
export type SettingsList = {
  items: ShownSetting[];
  generation: number;
  faults: Omit<ConfigurationFault, "valid">[];
};

/** The settings for show. A value that is missing is null. */
export function showSettings(
  resolved: ReadonlyMap<string, ResolvedSetting>,
  generation: number,
  faults: readonly ConfigurationFault[],
): SettingsList {
  const items = [...resolved.values()].map(
    ({ key, setting, value, origin, variable, shadowed }): ShownSetting => ({
      key,
      value: showValue(setting.secret, value),
      origin,
      variable,
      shadowed: shadowed.map((weaker) => ({
        origin: weaker.origin,
        value: showValue(setting.secret, weaker.value),
      })),
      runtime: setting.runtime,
      secret: setting.secret,
      range: setting.range,
      description: setting.description,
    }),
  );
  return {
    items,
    generation,
    faults: faults.map(({ key, code, message, severity }) => ({ key, code, message, severity })),
  };
}

/** A secret as nothing but its presence; of a database address only the scheme, unless it is a file and holds no login. */
function showValue(secret: boolean, value: unknown): unknown {
  if (value === undefined) return null;
  if (!secret) return value;
  const scheme = typeof value === "string" ? databaseScheme(value) : null;
  return scheme === "sqlite" ? value : redacted;
}
