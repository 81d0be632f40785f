import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { loadConfiguration } from "#base/config/index.ts";
import { type OpenApp, openApp } from "#app";

const home = mkdtempSync(join(tmpdir(), "candor-settings-"));
let app: OpenApp | null = null;

afterEach(async () => {
  await app?.close();
  rmSync(home, { recursive: true, force: true });
});

it("takes a new log level into effect without a restart", async () => {
  const configuration = loadConfiguration({
    flags: { "storage.home": home },
    environment: {},
    workingDirectory: home,
  });
  app = await openApp(configuration);
  const lines = () => readFileSync(join(home, "logs", "candor.log"), "utf8");
  app.logger.info("before the change");
  await configuration.set({ "logging.level": "error" });
  app.logger.info("not wanted any more");
  app.logger.error("still wanted");
  expect(lines()).toContain("before the change");
  expect(lines()).toContain("still wanted");
  expect(lines()).not.toContain("not wanted any more");
});
