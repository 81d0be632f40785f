import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { redactText } from "#base/errors/index.ts";
import { checkConfiguration } from "./configuration.ts";
import { itemOf, raised, useTemporaryFolders } from "../../../test/fixtures/config-folders.ts";
import { makeAgeKey, writeSopsFile } from "../../../test/fixtures/sops/write-sops-file.ts";

const { places, sources, load } = useTemporaryFolders();
const key = makeAgeKey();

/** Puts a secrets file into the data directory and gives the environment that names and opens it. */
function put(
  values: Record<string, string | number | boolean>,
  keys = [key],
): Record<string, string> {
  const path = join(places.home, "secrets.json");
  writeFileSync(path, writeSopsFile(values, keys));
  return { CANDOR_SECRETS_FILE: path, SOPS_AGE_KEY: key.identity };
}

const codes = (environment: Record<string, string>) =>
  checkConfiguration(sources(environment)).map(
    (fault) => `${fault.severity} ${fault.key} ${fault.code}`,
  );

/** What the tests' own environment sets would hide the file's. */
const withoutKey = (environment: Record<string, string>) => {
  const { SECRET_KEY: _own, ...rest } = sources(environment).environment;
  return { flags: {}, environment: rest, workingDirectory: places.work };
};

describe("the secrets file", () => {
  it("stands between the environment and the .env files", () => {
    const environment = put({ CANDOR_PORT: 8001, LOG_LEVEL: "warn", CANDOR_LOGGING_FILES: 3 });
    writeFileSync(join(places.home, ".env"), "CANDOR_PORT=8002\nLOG_LEVEL=error\n");
    const configuration = load({ ...environment, LOG_LEVEL: "debug" });
    expect(itemOf(configuration, "server.port")).toMatchObject({
      value: 8001,
      origin: "secrets file",
      variable: "CANDOR_PORT",
      shadowed: [
        { origin: ".env", value: 8002 },
        { origin: "default", value: 7340 },
      ],
    });
    expect(itemOf(configuration, "logging.level")).toMatchObject({
      value: "debug",
      shadowed: [{ origin: "secrets file", value: "warn" }, { origin: ".env", value: "error" }, {}],
    });
    expect(itemOf(configuration, "logging.files").value).toBe(3);
  });

  it("gives secrets, which are shown by nobody and removed from every text", () => {
    const secret = "canary-key-of-the-file-0123456789";
    const environment = put({
      SECRET_KEY: secret,
      DATABASE_URL: "sqlite:own.sqlite",
      OTHER: "canary-other",
    });
    const options = withoutKey(environment);
    expect(checkConfiguration(options)).toEqual([]);
    const configuration = load(options.environment as Record<string, string>);
    expect(itemOf(configuration, "database.url").origin).toBe("secrets file");
    expect(JSON.stringify(configuration.list())).not.toMatch(/canary|AGE-SECRET/);
    expect(redactText(`${secret} canary-other ${key.identity}`)).toBe(
      "[redacted] [redacted] [redacted]",
    );
  });

  it("may hold the password of an address whose other parts stand elsewhere", async () => {
    const environment = put({ DATABASE_PASSWORD: "canary-password" });
    const error = await raised(() =>
      load({ ...environment, DATABASE_HOST: "db.example", DATABASE_NAME: "candor" }),
    );
    expect(error.message).toContain("PostgreSQL");
    expect(error.message).not.toContain("canary");
  });

  it("is named by a .env file too, from whose folder a relative path counts", () => {
    const { SOPS_AGE_KEY } = put({ CANDOR_PORT: 8001 });
    writeFileSync(join(places.home, ".env"), "CANDOR_SECRETS_FILE=secrets.json\n");
    expect(load({ SOPS_AGE_KEY: SOPS_AGE_KEY ?? "" }).config.server.port).toBe(8001);
  });

  it("is opened by a key that the environment holds or names, not one in a .env file", () => {
    const { CANDOR_SECRETS_FILE = "" } = put({ CANDOR_PORT: 8001 });
    writeFileSync(join(places.home, ".env"), `SOPS_AGE_KEY=${key.identity}\n`);
    expect(codes({ CANDOR_SECRETS_FILE })).toEqual(["fault security.secretsFile secrets_identity"]);
    const keyFile = join(places.work, "key.txt");
    writeFileSync(keyFile, key.identity, { mode: 0o600 });
    expect(load({ CANDOR_SECRETS_FILE, SOPS_AGE_KEY_FILE: keyFile }).config.server.port).toBe(8001);
  });

  it("is read at the start; a change at run time keeps what it gave", async () => {
    const configuration = load(put({ CANDOR_PORT: 8001, LOG_LEVEL: "warn" }));
    writeFileSync(join(places.home, "secrets.json"), "gone");
    await configuration.set({ "storage.roots": ["/srv"] });
    expect(configuration.config.server.port).toBe(8001);
    const refused = await raised(() => configuration.set({ "logging.level": "debug" }));
    expect(refused.code).toBe("setting_refused");
    expect(refused.message).toContain("secrets.json");
  });

  it("cannot name the data directory or itself, and what stands plain in it is not taken", () => {
    const environment = put({ CANDOR_HOME: "/elsewhere", CANDOR_SECURITY_SECRETS_FILE: "x" });
    expect(codes(environment)).toEqual([
      "fault storage.home secrets_misplaced",
      "fault security.secretsFile secrets_misplaced",
    ]);
    const path = join(places.home, "secrets.json");
    const file = JSON.parse(writeSopsFile({ A_unencrypted: "x" }, [key])) as Record<
      string,
      unknown
    >;
    writeFileSync(path, JSON.stringify(file));
    expect(codes(environment)).toEqual(["warning security.secretsFile secrets_unused"]);
    writeFileSync(path, writeSopsFile({ CANDOR_PROT: "1" }, [key]));
    expect(codes(environment)).toEqual([
      "warning security.secretsFile secrets_unused",
      "warning CANDOR_PROT variable_unknown",
    ]);
  });

  it("takes no unencrypted value of ours", () => {
    const environment = put({ A: "b" });
    const only = JSON.parse(writeSopsFile({ A: "b" }, [key], { macOnlyEncrypted: true })) as object;
    writeFileSync(
      join(places.home, "secrets.json"),
      JSON.stringify({ SECRET_KEY: "canary", ...only }),
    );
    expect(codes(environment)).toEqual(["fault SECRET_KEY secrets_plain"]);
    expect(JSON.stringify(checkConfiguration(sources(environment)))).not.toContain("canary");
  });

  it.each<[string, (environment: Record<string, string>) => Record<string, string>, string]>([
    [
      "a missing file",
      (one) => ({ ...one, CANDOR_SECRETS_FILE: join(places.work, "none") }),
      "secrets_unreadable",
    ],
    [
      "a plain file",
      (one) => (writeFileSync(one["CANDOR_SECRETS_FILE"] ?? "", "A=1\n"), one),
      "secrets_not_sops",
    ],
    [
      "a file for another key",
      (one) => (put({ A: "b" }, [makeAgeKey()]), one),
      "secrets_wrong_key",
    ],
    [
      "a file for PGP",
      (one) => (
        writeFileSync(
          one["CANDOR_SECRETS_FILE"] ?? "",
          writeSopsFile({}, [], { metadata: { pgp: [{}] } }),
        ),
        one
      ),
      "secrets_recipient",
    ],
    ["a word for a key", (one) => ({ ...one, SOPS_AGE_KEY: "hunter2" }), "secrets_identity"],
  ])("refuses the start for %s, with all other faults", async (_what, change, code) => {
    const environment = { ...change(put({ SECRET_KEY: "canary" })), CANDOR_PORT: "x" };
    expect(codes(environment).toSorted()).toEqual([
      `fault security.secretsFile ${code}`,
      "fault server.port setting_invalid",
    ]);
    const error = await raised(() => load(environment));
    expect(error.code).toBe("configuration_invalid");
    expect(error.details).not.toMatchObject({ content: expect.anything() });
    expect(JSON.stringify([error.message, error.details, error.errors])).not.toMatch(
      /canary|hunter2/,
    );
  });

  it.skipIf(process.platform === "win32")("refuses a key that others can read", () => {
    const { CANDOR_SECRETS_FILE = "" } = put({ A: "b" });
    const keyFile = join(places.work, "key.txt");
    writeFileSync(keyFile, key.identity);
    chmodSync(keyFile, 0o644);
    expect(codes({ CANDOR_SECRETS_FILE, SOPS_AGE_KEY_FILE: keyFile })).toEqual([
      "fault security.secretsFile secrets_identity_exposed",
    ]);
  });

  it("refuses a file that was changed", () => {
    const environment = put({ LOG_LEVEL: "warn" });
    const path = join(places.home, "secrets.json");
    const { LOG_LEVEL: _gone, ...rest } = JSON.parse(
      writeSopsFile({ LOG_LEVEL: "warn", CANDOR_PORT: 1 }, [key]),
    ) as Record<string, unknown>;
    writeFileSync(path, JSON.stringify(rest));
    expect(codes(environment)).toEqual(["fault security.secretsFile secrets_tampered"]);
  });
});
