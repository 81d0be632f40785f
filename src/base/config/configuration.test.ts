import { homedir } from "node:os";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { redactText } from "#base/errors/index.ts";
import { checkConfiguration, loadConfiguration } from "./configuration.ts";
import { secretCommand } from "./faults.ts";
import { environmentNames, settingsByKey } from "./settings.ts";
import { describe, expect, it } from "vitest";
import {
  goodSecret,
  itemOf,
  raised,
  useTemporaryFolders,
} from "../../../test/fixtures/config-folders.ts";

const { places, sources, load, faultCodes } = useTemporaryFolders();

describe("precedence", () => {
  it("takes flags before environment, .env of the data directory, .env of the working directory, stored, default", () => {
    writeFileSync(join(places.home, ".env"), "LOG_LEVEL=warn\n");
    writeFileSync(join(places.work, ".env"), "LOG_LEVEL=error\n");
    writeFileSync(join(places.home, "settings.json"), '{ "logging.level": "trace" }');
    const strongest = load({ LOG_LEVEL: "DEBUG" }, { "logging.level": "info" });
    expect(strongest.config.logging.level).toBe("info");
    expect(itemOf(strongest, "logging.level")).toMatchObject({
      origin: "flag",
      variable: "LOG_LEVEL",
      shadowed: [
        { origin: "environment", value: "debug" },
        { origin: ".env", value: "warn" },
        { origin: ".env", value: "error" },
        { origin: "stored", value: "trace" },
        { origin: "default", value: "info" },
      ],
    });
    expect(load({ LOG_LEVEL: "debug" }).config.logging.level).toBe("debug");
    expect(load().config.logging.level).toBe("warn");
    rmSync(join(places.home, ".env"));
    expect(load().config.logging.level).toBe("error");
    rmSync(join(places.work, ".env"));
    expect(itemOf(load(), "logging.level")).toMatchObject({ value: "trace", origin: "stored" });
    rmSync(join(places.home, "settings.json"));
    expect(itemOf(load(), "logging.level")).toMatchObject({
      value: "info",
      origin: "default",
      shadowed: [],
    });
  });

  it("finds the data directory through the .env file of the working directory", () => {
    writeFileSync(join(places.work, ".env"), "CANDOR_HOME=../home\n");
    writeFileSync(join(places.home, ".env"), "CANDOR_PORT=8123\n");
    const { config } = loadConfiguration({
      flags: {},
      environment: { SECRET_KEY: goodSecret },
      workingDirectory: places.work,
    });
    expect(config.storage.home).toBe(places.home);
    expect(config.server.port).toBe(8123);
  });

  it("refuses a .env file of the data directory that names another data directory", () => {
    const other = join(places.folder, "other");
    writeFileSync(join(places.work, ".env"), "CANDOR_HOME=../home\n");
    writeFileSync(join(places.home, ".env"), `CANDOR_HOME=${other}\n`);
    const faults = checkConfiguration({
      flags: {},
      environment: {},
      workingDirectory: places.work,
    });
    expect(faults.map(({ code }) => code)).toContain("home_disagrees");
  });

  it("reads every setting under each of its environment names", () => {
    const values: Record<string, string> = {
      integer: "64",
      switch: "false",
      list: "/a",
    };
    const special: Record<string, string> = {
      environment: "testing",
      "logging.level": "error",
      "logging.format": "text",
      "server.host": "127.0.0.2",
      "server.trustedHosts": "a.example",
      "server.trustedProxies": "10.0.0.0/8",
      "server.tlsCertificate": "/a.crt",
      "server.tlsKey": "/a.key",
      "cors.origins": "https://a.example",
      "database.url": "sqlite:b.sqlite",
      "security.secretKey": "f".repeat(40),
      "telemetry.endpoint": "http://127.0.0.1:4318",
      "telemetry.tracesEndpoint": "http://127.0.0.1:4318/traces",
      "telemetry.headers": "x-team=red",
      "telemetry.serviceName": "candor-2",
      "logging.fileMegabytes": "9",
      "logging.files": "3",
      "server.requestTimeoutSeconds": "31",
      "security.signInMinutes": "2",
      "security.refreshTokenDays": "3",
      "security.failedLogins": "4",
      "performance.embedThreads": "3",
      "performance.indexConcurrency": "3",
    };
    for (const [key, setting] of settingsByKey) {
      // Read at once: secrets-layer.test.ts.
      if (key === "security.secretsFile") continue;
      const written =
        key === "storage.home" ? places.home : (special[key] ?? values[setting.kind] ?? "");
      for (const name of environmentNames(key)) {
        const place = key === "storage.home" ? {} : { CANDOR_HOME: places.home };
        const environment = { ...place, [name]: written };
        const configuration = loadConfiguration({
          flags: {},
          environment,
          workingDirectory: places.work,
        });
        expect(itemOf(configuration, key), name).toMatchObject({
          origin: "environment",
          variable: name,
        });
        expect(
          configuration.faults.map(({ code }) => code),
          name,
        ).not.toContain("variable_unknown");
      }
    }
  });

  it("resolves relative folders from where they were written and ~ from the home folder", () => {
    expect(load({ CANDOR_MODELS_STATIC: "models/a, ~/b" }).config.models.static).toEqual([
      join(places.work, "models", "a"),
      join(homedir(), "b"),
    ]);
    writeFileSync(join(places.home, ".env"), 'CANDOR_MODELS_STATIC=["with, comma"]\n');
    expect(load().config.models.static).toEqual([join(places.home, "with, comma")]);
  });

  it("logs to standard error by default for a server only", () => {
    expect(load().config.logging.console).toBe(false);
    expect(loadConfiguration({ ...sources(), role: "server" }).config.logging.console).toBe(true);
  });

  it("is frozen through and through", () => {
    const { config } = load({ CORS_ORIGINS: "https://a.example" });
    expect(() => Object.assign(config.server, { port: 1 })).toThrow(TypeError);
    expect(() => Object.assign(config, { server: {} })).toThrow(TypeError);
    expect(() => Object.assign(config.cors.origins, { 0: "*" })).toThrow(TypeError);
  });
});

describe("faults", () => {
  it("lists all of them at once, each with its pointer and what is valid", async () => {
    writeFileSync(
      join(places.home, "settings.json"),
      '{ "logging.level": "loud", "nosuch": 1, "server.port": 1 }',
    );
    const error = await raised(() =>
      load(
        {
          CANDOR_ENV: "Production",
          CANDOR_PORT: "70000",
          CANDOR_SERVER_BODY_LIMIT_MEGABYTES: "0",
          CANDOR_LOGGING_FILE: "maybe",
          CORS_ORIGINS: "https://a.example, *",
        },
        { "server.prot": 1 },
      ),
    );
    expect(error.code).toBe("configuration_invalid");
    expect(error.errors?.map(({ pointer }) => pointer).toSorted()).toEqual(
      [
        "/cors/origins",
        "/environment",
        "/logging/file",
        "/logging/level",
        "/nosuch",
        "/server.prot",
        "/server/bodyLimitMegabytes",
        "/server/port",
        "/server/port",
      ].toSorted(),
    );
    const environment = error.errors?.find(({ pointer }) => pointer === "/environment");
    expect(environment?.valid).toEqual(["development", "testing", "production"]);
    expect(error.message).toContain(
      'server.port (CANDOR_PORT): "70000" is not a whole number from 0 to 65535',
    );
    expect(error.message).toContain('"*": a wildcard origin is never accepted');
    expect(error.message).toContain("9 faults");
  });

  it("reports every production fault together with invalid values, and none of them outside production", () => {
    const unsafe = {
      SECRET_KEY: "test-key",
      CANDOR_LOGGING_REDACTION: "off",
      CORS_ORIGINS: "*",
      CANDOR_PORT: "x",
    };
    expect(faultCodes({ ...unsafe, CANDOR_ENV: "production" }).toSorted()).toEqual([
      "cors.origins setting_invalid",
      "logging.redaction redaction_off",
      "security.secretKey secret_guessable",
      "security.secretKey secret_short",
      "server.port setting_invalid",
    ]);
    expect(faultCodes(unsafe)).toEqual([
      "server.port setting_invalid",
      "cors.origins setting_invalid",
    ]);
    expect(faultCodes(unsafe, "warning")).toEqual([
      "security.secretKey secret_short",
      "security.secretKey secret_guessable",
      "logging.redaction redaction_off",
    ]);
  });

  it("names the exact command when production has no secret, even if one was generated before", async () => {
    loadConfiguration({
      flags: {},
      environment: { CANDOR_HOME: places.home },
      workingDirectory: places.work,
    });
    const environment = { CANDOR_HOME: places.home, CANDOR_ENV: "production" };
    const error = await raised(() =>
      loadConfiguration({ flags: {}, environment, workingDirectory: places.work }),
    );
    expect(error.message).toContain(secretCommand);
    expect(redactText(secretCommand)).toBe(secretCommand);
  });

  it("starts in production with a good secret, and warns of SQLite and of a public bind", () => {
    const { faults } = load({ CANDOR_ENV: "production", CANDOR_SERVER_HOST: "0.0.0.0" });
    expect(faults.map(({ code }) => code)).toEqual(["bind_public", "sqlite_in_production"]);
  });

  it("warns of a CANDOR_ variable that nothing reads", () => {
    const { faults } = load({ CANDOR_PROT: "1", CANDOR_NODE: "/usr/bin/node" });
    expect(faults).toMatchObject([
      { key: "CANDOR_PROT", code: "variable_unknown", severity: "warning" },
    ]);
  });

  it("refuses two names with different values in one place, and accepts equal ones", () => {
    const two = { DATABASE_URL: "sqlite:a.sqlite", CANDOR_DATABASE_URL: "sqlite:b.sqlite" };
    expect(faultCodes(two)).toEqual(["database.url names_disagree"]);
    expect(faultCodes({ ...two, CANDOR_DATABASE_URL: "sqlite:a.sqlite" })).toEqual([]);
    writeFileSync(join(places.home, ".env"), "CANDOR_DATABASE_URL=sqlite:b.sqlite\n");
    expect(faultCodes({ DATABASE_URL: "sqlite:a.sqlite" })).toEqual([]);
  });

  it("warns of an invalid value that a stronger one hides", () => {
    writeFileSync(join(places.work, ".env"), "CANDOR_PORT=x\n");
    const { config, faults } = load({ CANDOR_PORT: "8000" });
    expect(config.server.port).toBe(8000);
    expect(faults).toMatchObject([
      { key: "server.port", code: "setting_invalid", severity: "warning" },
    ]);
  });

  it.each([
    ["CANDOR_PORT", "", "server.port"],
    ["CANDOR_PORT", "1e3", "server.port"],
    ["CANDOR_PORT", "80.5", "server.port"],
    ["CANDOR_SERVER_HOST", "", "server.host"],
    ["CANDOR_SERVER_HOST", "http://x", "server.host"],
    ["TRUSTED_HOSTS", "*.example.org", "server.trustedHosts"],
    ["TRUSTED_HOSTS", "a.example:80", "server.trustedHosts"],
    ["CORS_ORIGINS", "https://*.example.org", "cors.origins"],
    ["CORS_ORIGINS", "https://a.example/", "cors.origins"],
    ["CORS_ORIGINS", "null", "cors.origins"],
    ["CANDOR_STORAGE_ROOTS", "relative", "storage.roots"],
    ["CANDOR_STORAGE_ROOTS", "[1", "storage.roots"],
    ["CANDOR_MODELS_STATIC", "", "models.static"],
    ["SECRET_KEY", "", "security.secretKey"],
    ["CANDOR_SERVER_HOST", "a\nb", "server.host"],
    ["DATABASE_URL", "candor.sqlite", "database.url"],
    ["DATABASE_URL", "mysql://u:p@h/d", "database.url"],
    ["DATABASE_URL", "sqlite:///x.sqlite", "database.url"],
    ["DATABASE_URL", "sqlite::memory:", "database.url"],
  ])("refuses %s=%j", (name, value, key) => {
    expect(faultCodes({ [name]: value })).toEqual([`${key} setting_invalid`]);
  });
});
