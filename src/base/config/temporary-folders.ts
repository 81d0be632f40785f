import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { CandorError } from "#base/errors/index.ts";
import { checkConfiguration, loadConfiguration, type Configuration } from "./configuration.ts";
import type { ShownSetting } from "./show-settings.ts";

/** A secret that production accepts. */
export const goodSecret = "0123456789abcdef0123456789abcdef";

/** For tests: a data directory and a working directory, both empty and new for each test. */
export function useTemporaryFolders() {
  const places = { folder: "", home: "", work: "" };
  beforeEach(() => {
    places.folder = mkdtempSync(join(tmpdir(), "candor-config-"));
    places.home = join(places.folder, "home");
    places.work = join(places.folder, "work");
    mkdirSync(places.home);
    mkdirSync(places.work);
  });
  afterEach(() => rmSync(places.folder, { recursive: true, force: true }));
  const sources = (
    environment: Record<string, string> = {},
    flags: Record<string, unknown> = {},
  ) => ({
    flags,
    environment: { CANDOR_HOME: places.home, SECRET_KEY: goodSecret, ...environment },
    workingDirectory: places.work,
  });
  return {
    places,
    sources,
    load: (environment?: Record<string, string>, flags?: Record<string, unknown>) =>
      loadConfiguration(sources(environment, flags)),
    faultCodes: (environment: Record<string, string>, severity = "fault") =>
      checkConfiguration(sources(environment))
        .filter((fault) => fault.severity === severity)
        .map(({ key, code }) => `${key} ${code}`),
  };
}

/** One setting of the list. */
export function itemOf(configuration: Configuration, key: string): ShownSetting {
  const item = configuration.list().items.find((each) => each.key === key);
  if (item === undefined) throw new Error(`no ${key} in the list`);
  return item;
}

/** The typed error that `action` raises. */
export async function raised(action: () => unknown): Promise<CandorError> {
  try {
    await action();
  } catch (thrown) {
    if (thrown instanceof CandorError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was raised");
}
