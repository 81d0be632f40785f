import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { itemOf, raised, useTemporaryFolders } from "../../../test/fixtures/config-folders.ts";

const { places, load } = useTemporaryFolders();

describe("set", () => {
  it("stores run-time settings, makes a new generation and tells listeners", async () => {
    const configuration = load();
    const before = configuration.config;
    const heard: unknown[] = [];
    const stop = configuration.onChange((config, changed) =>
      heard.push([config.logging.level, changed]),
    );
    expect(
      await configuration.set({ "logging.level": "DEBUG", "storage.roots": ["/srv/a/../b"] }),
    ).toEqual({
      changed: ["storage.roots", "logging.level"],
      generation: 2,
    });
    expect(before.logging.level).toBe("info");
    expect(configuration.config.logging.level).toBe("debug");
    expect(configuration.config.storage.roots).toEqual(["/srv/b"]);
    expect(heard).toEqual([["debug", ["storage.roots", "logging.level"]]]);
    const path = join(places.home, "settings.json");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({
      "logging.level": "debug",
      "storage.roots": ["/srv/b"],
    });
    expect(load().config.logging.level).toBe("debug");
    expect(itemOf(configuration, "logging.level")).toMatchObject({
      origin: "stored",
      shadowed: [{ origin: "default", value: "info" }],
    });
    stop();
    expect(await configuration.set({ "logging.level": null })).toEqual({
      changed: ["logging.level"],
      generation: 3,
    });
    expect(await configuration.set({ "logging.level": null })).toEqual({
      changed: [],
      generation: 3,
    });
    expect(heard).toHaveLength(1);
    expect(readdirSync(places.home)).toEqual(["settings.json"]);
  });

  it("refuses unknown keys and bad values, all or nothing", async () => {
    const configuration = load();
    const error = await raised(() =>
      configuration.set({ "logging.level": "loud", "a/b": 1, "storage.roots": ["/ok"] }),
    );
    expect(error.code).toBe("input_invalid");
    expect(error.errors).toEqual([
      {
        pointer: "/values/logging.level",
        message: 'logging.level: "loud" is not one of trace, debug, info, warn, error',
        valid: ["trace", "debug", "info", "warn", "error"],
      },
      {
        pointer: "/values/a~1b",
        message: 'there is no setting "a/b"',
        valid: expect.arrayContaining(["storage.roots", "logging.level"]),
      },
    ]);
    expect(configuration.config.storage.roots).toEqual([]);
    expect(configuration.generation).toBe(1);
    expect(readdirSync(places.home)).toEqual([]);
  });

  it("refuses start-up keys, and keys that something stronger sets, naming it", async () => {
    writeFileSync(join(places.work, ".env"), "CANDOR_STORAGE_ROOTS=/srv\n");
    const configuration = load({ LOG_LEVEL: "warn" });
    for (const values of [
      { "server.port": 1 },
      { "server.port": null },
      { "logging.level": "debug" },
      { "storage.roots": null },
    ])
      expect((await raised(() => configuration.set(values))).code).toBe("setting_refused");
    const message = (
      await raised(() =>
        configuration.set({ "logging.level": "debug", "storage.roots": [], "server.port": 80 }),
      )
    ).message;
    expect(message).toContain("logging.level is set by LOG_LEVEL");
    expect(message).toContain(
      `storage.roots is set by CANDOR_STORAGE_ROOTS in ${join(places.work, ".env")}`,
    );
    expect(message).toContain("server.port is read at the start only; set CANDOR_PORT");
    const flagged = load({}, { "logging.level": "debug" });
    expect((await raised(() => flagged.set({ "logging.level": "info" }))).message).toContain(
      "command-line flag",
    );
  });

  it("keeps every one of many changes at the same time", async () => {
    const configuration = load();
    const levels = ["trace", "debug", "info", "warn", "error"];
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, number) =>
        configuration.set(
          number % 2 === 0
            ? { "logging.level": levels[(number / 2) % levels.length] }
            : { "storage.roots": [`/srv/${number}`] },
        ),
      ),
    );
    expect(new Set(outcomes.map(({ generation }) => generation)).size).toBe(40);
    expect(configuration.config.storage.roots).toEqual(["/srv/39"]);
    expect(configuration.config.logging.level).toBe("error");
    expect(load().config).toEqual(configuration.config);
  });

  it("keeps what was written into the file by hand meanwhile, and refuses when that is broken", async () => {
    const configuration = load();
    writeFileSync(join(places.home, "settings.json"), '{ "storage.roots": ["/by/hand"] }');
    expect((await configuration.set({ "logging.level": "warn" })).changed).toEqual([
      "storage.roots",
      "logging.level",
    ]);
    expect(configuration.config.storage.roots).toEqual(["/by/hand"]);
    writeFileSync(join(places.home, "settings.json"), "{");
    expect((await raised(() => configuration.set({ "logging.level": "info" }))).code).toBe(
      "configuration_invalid",
    );
    expect(readFileSync(join(places.home, "settings.json"), "utf8")).toBe("{");
  });

  it("changes nothing when the file cannot be written", async () => {
    const configuration = load();
    rmSync(places.home, { recursive: true });
    writeFileSync(places.home, "a file where the folder was");
    expect((await raised(() => configuration.set({ "logging.level": "warn" }))).code).toBe(
      "data_directory_unusable",
    );
    expect(configuration.config.logging.level).toBe("info");
    expect(configuration.generation).toBe(1);
  });

  it("tells every listener though one fails, and lets that failure rise", async () => {
    const configuration = load();
    let heard = 0;
    configuration.onChange(() => {
      throw new Error("cannot");
    });
    configuration.onChange(() => void (heard += 1));
    await expect(configuration.set({ "logging.level": "warn" })).rejects.toThrow("cannot");
    expect(heard).toBe(1);
  });
});
