import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { redactText } from "#base/errors/index.ts";
import { checkConfiguration, loadConfiguration } from "./configuration.ts";
import { secretCommand } from "./faults.ts";
import { describe, expect, it } from "vitest";
import {
  goodSecret,
  itemOf,
  raised,
  useTemporaryFolders,
} from "../../../test/fixtures/config-folders.ts";

const { places, sources, load, faultCodes } = useTemporaryFolders();

describe("database address", () => {
  it("is built from its parts with the password encoded, recognised and refused, and never shown", async () => {
    const environment = {
      DATABASE_HOST: "db.example",
      DATABASE_NAME: "candor",
      DATABASE_USER: "me",
      DATABASE_PASSWORD: "p@ss/wörd:canary",
    };
    const error = await raised(() => load(environment));
    expect(error.message).toContain("PostgreSQL is not built yet");
    expect(error.message).not.toContain("canary");
    expect(redactText("x p@ss/wörd:canary y")).toBe("x [redacted] y");
    expect(redactText(`x ${encodeURIComponent("p@ss/wörd:canary")} y`)).toBe("x [redacted] y");
  });

  it("takes parts from several sources, and names those that are missing or have no effect", () => {
    writeFileSync(join(places.home, ".env"), "DATABASE_HOST=db.example\nDATABASE_NAME=candor\n");
    expect(faultCodes({ DATABASE_PASSWORD: "x" })).toEqual(["database.url setting_invalid"]);
    rmSync(join(places.home, ".env"));
    expect(faultCodes({ DATABASE_HOST: "h" })).toEqual(["database.url database_parts"]);
    expect(faultCodes({ DATABASE_USER: "u", DATABASE_URL: "sqlite:a" }, "warning")).toEqual([
      "database.url variable_unused",
    ]);
    expect(
      faultCodes({ DATABASE_HOST: "h", DATABASE_NAME: "n", DATABASE_URL: "sqlite:a" }),
    ).toEqual(["database.url names_disagree"]);
  });
});

describe("files", () => {
  it("names malformed .env lines by number, without their content", () => {
    const path = join(places.home, ".env");
    writeFileSync(
      path,
      '# fine\n\nexport LOG_LEVEL=warn\nhunter2-canary\nA=\'open\nB=1\nSECRET_KEY=abc#canary\nX="a\nb" tail\nCANDOR_PORT=1\nCANDOR_PORT=2\n',
    );
    const faults = checkConfiguration(sources()).filter(({ severity }) => severity === "fault");
    const shown = faults.map(({ message }) => message.replace(path, ".env"));
    expect(shown).toEqual([
      ".env, line 4: is not NAME=value and not a comment.",
      ".env, line 5: the quote ' is not closed.",
      ".env, line 7: `#` begins a comment in the value of SECRET_KEY; put the value in quotes.",
      ".env, line 8: there is text after the closing quote.",
      ".env, lines 10 and 11: CANDOR_PORT is set more than once.",
    ]);
  });

  it("reads quoted values, comments, Windows line ends and a byte order mark", () => {
    writeFileSync(
      join(places.home, ".env"),
      "\ufeffLOG_LEVEL=\"warn\" # why\r\nTRUSTED_HOSTS=a.example # b\r\nCANDOR_ENV='testing'\r\n",
    );
    const { config } = load();
    expect(config.logging.level).toBe("warn");
    expect(config.server.trustedHosts).toEqual(["a.example"]);
    expect(config.environment).toBe("testing");
  });

  it("tells apart a places.folder, bad encoding and malformed JSON", () => {
    mkdirSync(join(places.work, ".env"));
    writeFileSync(join(places.home, ".env"), Buffer.from([0x41, 0x3d, 0xff, 0xfe]));
    writeFileSync(join(places.home, "settings.json"), "{ nope");
    const faults = checkConfiguration(sources());
    expect(faults.map(({ key, code, severity }) => [key, code, severity])).toEqual([
      [join(places.work, ".env"), "file_unreadable", "warning"],
      [join(places.home, ".env"), "file_unreadable", "fault"],
      [join(places.home, "settings.json"), "settings_malformed", "fault"],
    ]);
    writeFileSync(join(places.home, "settings.json"), "[]");
    expect(checkConfiguration(sources()).map(({ code }) => code)).toContain("settings_malformed");
  });
});

describe("secrets", () => {
  it("generates a key once per data directory outside production, private and with a warning", async () => {
    const environment = { CANDOR_HOME: join(places.folder, "new", "home") };
    const options = { flags: {}, environment, workingDirectory: places.work };
    const first = loadConfiguration(options);
    const path = join(environment.CANDOR_HOME, "secret-key");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(environment.CANDOR_HOME)).toEqual(["secret-key"]);
    expect(first.config.security.secretKey).toMatch(/^[0-9a-f]{64}$/);
    expect(first.faults).toMatchObject([{ code: "secret_generated", severity: "warning" }]);
    expect(first.faults[0]?.message).toContain(secretCommand);
    expect(loadConfiguration(options).config.security.secretKey).toBe(
      first.config.security.secretKey,
    );
    chmodSync(path, 0o644);
    expect(loadConfiguration(options).faults.map(({ code }) => code)).toContain("secret_readable");
    writeFileSync(path, "short");
    expect((await raised(() => loadConfiguration(options))).code).toBe("data_directory_unusable");
  });

  it("is the same key for processes that start at the same moment", async () => {
    const module = JSON.stringify(new URL("./configuration.ts", import.meta.url).href);
    const script = `const { loadConfiguration } = await import(${module});
      process.stdout.write("ready");
      process.stdin.once("data", () => {
        const keys = Array.from({ length: 20 }, (_, number) => {
          const environment = { CANDOR_HOME: process.env.CANDOR_HOME + number };
          return loadConfiguration({ flags: {}, environment, workingDirectory: "." }).config.security.secretKey;
        });
        process.stdout.end(keys.join(" "));
        process.stdin.destroy();
      });`;
    const children = Array.from({ length: 6 }, () =>
      spawn(process.execPath, ["--input-type=module", "-e", script], {
        cwd: places.work,
        env: { CANDOR_HOME: places.home },
        stdio: ["pipe", "pipe", "inherit"],
      }),
    );
    await Promise.all(children.map(({ stdout }) => once(stdout, "data")));
    const outputs = children.map(({ stdout }) => text(stdout));
    for (const { stdin } of children) stdin.write("go");
    const keys = await Promise.all(outputs);
    expect(new Set(keys).size).toBe(1);
    expect(new Set(keys[0]?.split(" ")).size).toBe(20);
    expect(readdirSync(`${places.home}0`)).toEqual(["secret-key"]);
  });

  it("writes nothing when it only checks or when there is a fault", () => {
    const environment = { CANDOR_HOME: join(places.folder, "new") };
    checkConfiguration({ flags: {}, environment, workingDirectory: places.work });
    expect(() =>
      loadConfiguration({
        flags: { "server.port": -1 },
        environment,
        workingDirectory: places.work,
      }),
    ).toThrow("server.port");
    expect(readdirSync(places.folder).toSorted()).toEqual(["home", "work"]);
  });

  it("never shows them, effective or shadowed, in the list", () => {
    writeFileSync(
      join(places.home, ".env"),
      "SECRET_KEY=shadowed-canary-0123456789abcdef\nDATABASE_URL=postgres://u:canary@h/d\n",
    );
    const configuration = load({ DATABASE_URL: "sqlite:own.sqlite" });
    const shown = JSON.stringify(configuration.list());
    expect(shown).not.toContain("canary");
    expect(shown).not.toContain(goodSecret);
    expect(itemOf(configuration, "security.secretKey")).toMatchObject({
      value: "[redacted]",
      secret: true,
    });
    expect(itemOf(configuration, "database.url").value).toBe("sqlite:own.sqlite");
    expect(redactText(goodSecret)).toBe("[redacted]");
  });
});
