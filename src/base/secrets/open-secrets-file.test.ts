import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  makeAgeKey,
  sealWithAge,
  writeSopsFile,
} from "../../../test/fixtures/sops/write-sops-file.ts";
import { readIdentities } from "./age-identity.ts";
import { openAgeFile } from "./open-age-file.ts";
import { openSecretsFile, type SecretsFault } from "./open-secrets-file.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "candor-secrets-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const key = makeAgeKey();
const values = {
  SECRET_KEY: "canary-0123456789abcdef0123456789",
  DATABASE_URL: "sqlite:canary.sqlite",
  CANDOR_PORT: 8123,
  CANDOR_LOGGING_FILE: false,
  GREETING: "Grüße, 世界\nsecond line",
  EMPTY: "",
  COLOUR_unencrypted: "green",
};

function put(content: string | Buffer, name = "secrets.json"): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

const open = (
  content: string | Buffer,
  name?: string,
  identity: string | undefined = key.identity,
) => openSecretsFile(put(content, name), { key: identity, keyFile: undefined });

function faultsOf(opened: ReturnType<typeof openSecretsFile>): readonly SecretsFault[] {
  return "faults" in opened ? opened.faults : [];
}
const codesOf = (opened: ReturnType<typeof openSecretsFile>) =>
  faultsOf(opened).map(({ code }) => code);
const messagesOf = (opened: ReturnType<typeof openSecretsFile>) =>
  faultsOf(opened)
    .map(({ message }) => message)
    .join("\n");

const expected = new Map([
  ["SECRET_KEY", "canary-0123456789abcdef0123456789"],
  ["DATABASE_URL", "sqlite:canary.sqlite"],
  ["CANDOR_PORT", "8123"],
  ["CANDOR_LOGGING_FILE", "False"],
  ["GREETING", "Grüße, 世界\nsecond line"],
  ["EMPTY", ""],
]);

describe("a file is opened", () => {
  test("whose values SOPS 1.18 wrote and whose data key age 1.1.1 sealed", () => {
    const path = join(import.meta.dirname, "../../../test/fixtures/sops/written-by-sops-1.18.json");
    const identity = [
      "AGE-SECRET",
      "-KEY-1T8JC3VWWFKV9CNMVFSU6U32NVSWE7DJXARQU8QL90NR3NM59AJ9S38FUNQ",
    ].join("");
    expect(openSecretsFile(path, { key: identity, keyFile: undefined })).toEqual({
      values: new Map([
        ["SECRET_KEY", "canary-key-0123456789abcdef-0123456789"],
        ["DATABASE_URL", "sqlite:canary.sqlite"],
        ["CANDOR_PORT", "8123"],
        ["CANDOR_LOGGING_FILE", "False"],
        ["CANDOR_WEIGHT", "0.25"],
        ["GREETING", "Grüße, 世界\nsecond line"],
        ["EMPTY", ""],
      ]),
      plain: ["COLOUR_unencrypted"],
    });
  });

  test.each([
    ["json", false],
    ["json", true],
    ["dotenv", false],
    ["dotenv", true],
  ] as const)("as %s, sum over encrypted values only: %s", (kind, macOnlyEncrypted) => {
    expect(open(writeSopsFile(values, [key], { kind, macOnlyEncrypted }))).toEqual({
      values: expected,
      plain: ["COLOUR_unencrypted"],
    });
  });

  test("with comments, Windows line ends and encrypted comments in dotenv", () => {
    const text = `# plain\n#ENC[AES256_GCM,data:eA==,iv:eA==,tag:eA==,type:comment]\n${writeSopsFile(values, [key], { kind: "dotenv" })}`;
    expect(open(text.replaceAll("\n", "\r\n"))).toMatchObject({ values: expected });
  });

  test("by any of its recipients, with any of several identities", () => {
    const other = makeAgeKey();
    const text = writeSopsFile(values, [other, key]);
    const identities = `# a comment\n${makeAgeKey().identity}\n\n${key.identity.toLowerCase()}\n`;
    expect(open(text, undefined, identities)).toMatchObject({ values: expected });
    expect(open(text, undefined, other.identity)).toMatchObject({ values: expected });
  });

  test("with a key from a file that only its owner and group can read", () => {
    const keyFile = put(`${key.identity}\n`, "key.txt");
    const path = put(writeSopsFile(values, [key]));
    for (const mode of [0o600, 0o400, 0o440]) {
      chmodSync(keyFile, mode);
      expect(openSecretsFile(path, { key: undefined, keyFile })).toMatchObject({
        values: expected,
      });
    }
  });

  test("and nothing is written", () => {
    open(writeSopsFile(values, [key]));
    expect(readdirSync(folder)).toEqual(["secrets.json"]);
  });
});

describe("a change is seen", () => {
  type Sops = Record<string, unknown> & { sops: Record<string, unknown> };
  const spoil = (change: (file: Sops) => void, macOnlyEncrypted = false): string => {
    const file = JSON.parse(writeSopsFile(values, [key], { macOnlyEncrypted })) as Sops;
    change(file);
    return JSON.stringify(file);
  };
  const flip = (text: unknown, at: RegExp) =>
    String(text).replace(
      at,
      (_all, before: string, letter: string) => before + (letter === "A" ? "B" : "A"),
    );

  test.each<[string, (file: Sops) => void]>([
    ["in a value", (file) => (file["SECRET_KEY"] = flip(file["SECRET_KEY"], /(data:...)(.)/))],
    ["in a nonce", (file) => (file["SECRET_KEY"] = flip(file["SECRET_KEY"], /(iv:...)(.)/))],
    ["in a tag", (file) => (file["SECRET_KEY"] = flip(file["SECRET_KEY"], /(tag:...)(.)/))],
    [
      "by a shorter tag",
      (file) =>
        (file["SECRET_KEY"] = String(file["SECRET_KEY"]).replace(/tag:[^,]+/, "tag:AAAAAAAAAAA=")),
    ],
    ["by moving a value to another name", (file) => (file["SECRET_KEY"] = file["GREETING"])],
    ["by taking a value away", (file) => delete file["GREETING"]],
    ["by emptying a value", (file) => (file["SECRET_KEY"] = "")],
    ["by putting a plain value in its place", (file) => (file["CANDOR_PORT"] = 1)],
    ["by adding a plain value", (file) => (file["MORE"] = "x")],
    ["in a plain value", (file) => (file["COLOUR_unencrypted"] = "red")],
    [
      "in the time of the last change",
      (file) => (file.sops["lastmodified"] = "2026-11-20T10:00:01Z"),
    ],
    ["in the sum", (file) => (file.sops["mac"] = flip(file.sops["mac"], /(data:...)(.)/))],
    ["by another's sum", (file) => (file.sops["mac"] = file["SECRET_KEY"])],
    ["by a plain sum", (file) => (file.sops["mac"] = "0".repeat(128))],
    ["in what the sum covers", (file) => (file.sops["mac_only_encrypted"] = true)],
  ])("%s", (_what, change) => {
    const opened = open(spoil(change));
    expect(codesOf(opened)).toEqual(["secrets_tampered"]);
    expect(messagesOf(opened)).not.toContain("canary");
  });

  test("in the order of the values", () => {
    const { SECRET_KEY: first, ...rest } = JSON.parse(writeSopsFile(values, [key])) as Sops;
    expect(codesOf(open(JSON.stringify({ ...rest, SECRET_KEY: first })))).toEqual([
      "secrets_tampered",
    ]);
  });

  test("in an encrypted value that stands plain, where the sum covers encrypted ones only", () => {
    expect(codesOf(open(spoil((file) => (file["SECRET_KEY"] = "mine"), true)))).toEqual([
      "secrets_tampered",
    ]);
  });

  test("in any character of the sealed data key", () => {
    const identities = readIdentities(key.identity).identities;
    const armored = sealWithAge(randomBytes(32), [key]);
    expect(openAgeFile(armored, identities)).toHaveProperty("content");
    const bytes = Buffer.from(armored.replaceAll(/-----.*-----|\n/g, ""), "base64");
    for (const place of bytes.keys()) {
      const changed = Buffer.from(bytes);
      changed[place] = (changed[place] ?? 0) ^ 1;
      const lines = changed.toString("base64").match(/.{1,64}/g) ?? [];
      const text = `-----BEGIN AGE ENCRYPTED FILE-----\n${lines.join("\n")}\n-----END AGE ENCRYPTED FILE-----\n`;
      expect(openAgeFile(text, identities), `byte ${place}`).not.toHaveProperty("content");
    }
  });
});

describe("a file is refused with the next step", () => {
  const good = () => writeSopsFile(values, [key]);
  const keyService = (name: string) =>
    writeSopsFile(values, [], { metadata: { [name]: [{ enc: "x" }] } });

  test.each([
    [
      "unencrypted JSON",
      '{"SECRET_KEY":"canary"}',
      "a.json",
      "secrets_not_sops",
      "sops encrypt --age <recipient> --input-type json",
    ],
    [
      "an unencrypted .env file",
      "SECRET_KEY=canary\n",
      "a.env",
      "secrets_not_sops",
      "--input-type dotenv",
    ],
    [
      "YAML",
      "SECRET_KEY: ENC[x]\nsops:\n  mac: x\n",
      "a.yaml",
      "secrets_not_sops",
      "sops decrypt --output-type dotenv",
    ],
    [
      "YAML without its ending",
      "SECRET_KEY: ENC[x]\nsops:\n  mac: x\n",
      "a",
      "secrets_not_sops",
      "is YAML",
    ],
    ["broken JSON", '{"SECRET_KEY":"canary', "a.json", "secrets_not_sops", "not valid JSON"],
    ["lines without a name", "canary\n", "a.env", "secrets_not_sops", "in line 1"],
    [
      "nested values",
      JSON.stringify({ a: { b: "canary" }, sops: {} }),
      "a.json",
      "secrets_not_sops",
      'at "a"',
    ],
    [
      "numbers as names",
      JSON.stringify({ 1: "canary", sops: {} }),
      "a.json",
      "secrets_not_sops",
      "no name of a variable",
    ],
    [
      "a file without a sum",
      JSON.stringify({ a: "canary", sops: { age: [] } }),
      "a.json",
      "secrets_not_sops",
      "no sum over its values",
    ],
    [
      "bytes that are no text",
      Buffer.from([0xff, 0xfe]),
      "a.env",
      "secrets_unreadable",
      "is not UTF-8 text",
    ],
    ["more than a megabyte", "A=1\n".repeat(300_000), "a.env", "secrets_unreadable", "larger than"],
    ["PGP", keyService("pgp"), "a.json", "secrets_recipient", "for pgp only"],
    ["a cloud's key service", keyService("kms"), "a.json", "secrets_recipient", "for kms only"],
    ["nobody", writeSopsFile(values, []), "a.json", "secrets_recipient", "--add-age"],
    [
      "groups of keys",
      writeSopsFile(values, [key], { metadata: { shamir_threshold: 2 } }),
      "a.json",
      "secrets_recipient",
      "Shamir",
    ],
    [
      "groups of keys in dotenv",
      writeSopsFile(values, [key], {
        kind: "dotenv",
        metadata: { key_groups: [{ hc_vault: "x" }] },
      }),
      "a.env",
      "secrets_recipient",
      "Shamir",
    ],
    [
      "another age key",
      writeSopsFile(values, [makeAgeKey()]),
      "a.json",
      "secrets_wrong_key",
      "SOPS_AGE_KEY",
    ],
    [
      "an SSH key",
      withAge(sealWithAge(randomBytes(32), [], "-> ssh-ed25519 AAAA AAAA\nAAAA\n")),
      "a.json",
      "secrets_recipient",
      "ssh-ed25519",
    ],
    ["no age file at all", withAge("nonsense"), "a.json", "secrets_tampered", "sealed data key"],
    [
      "a key of another length",
      withAge(sealWithAge(randomBytes(16), [key])),
      "a.json",
      "secrets_tampered",
      "sealed data key",
    ],
    [
      "a share that yields no secret",
      withAge(sealWithAge(randomBytes(32), [], `-> X25519 ${"A".repeat(43)}\n${"A".repeat(43)}\n`)),
      "a.json",
      "secrets_wrong_key",
      "none of the 1 given",
    ],
  ])("%s", (_what, content, name, code, next) => {
    const opened = open(content, name);
    expect(codesOf(opened)).toEqual([code]);
    expect(messagesOf(opened)).toContain(next);
    expect(messagesOf(opened)).not.toMatch(/canary|AGE-SECRET/);
  });

  function withAge(enc: string): string {
    return writeSopsFile(values, [], { metadata: { age: [{ enc }] } });
  }

  test("that is missing, a folder or a pipe", () => {
    const source = { key: key.identity, keyFile: undefined };
    expect(messagesOf(openSecretsFile(join(folder, "none"), source))).toContain("does not exist");
    mkdirSync(join(folder, "sub"));
    expect(messagesOf(openSecretsFile(join(folder, "sub"), source))).toContain("is a folder");
    if (process.platform === "win32") return;
    execFileSync("mkfifo", [join(folder, "pipe")]);
    expect(messagesOf(openSecretsFile(join(folder, "pipe"), source))).toContain(
      "is not a regular file",
    );
  });

  test.each([
    ["nothing", undefined, "Set SOPS_AGE_KEY_FILE"],
    ["an empty text", "", "holds no age identity"],
    ["comments only", "# created\n", "holds no age identity"],
    ["a word", "hunter2", "SOPS_AGE_KEY, line 1 is no age identity"],
  ])("where the identity is %s", (_what, identity, next) => {
    const opened = openSecretsFile(put(good()), { key: identity, keyFile: undefined });
    expect(codesOf(opened)).toEqual(["secrets_identity"]);
    expect(messagesOf(opened)).toContain(next);
    expect(messagesOf(opened)).not.toContain("hunter2");
  });

  test("whose identity others can read or replace, or that is not there", () => {
    const path = put(good());
    const keyFile = put(key.identity, "key.txt");
    expect(
      messagesOf(openSecretsFile(path, { key: undefined, keyFile: join(folder, "none") })),
    ).toContain("does not exist");
    if (process.platform === "win32") return;
    for (const mode of [0o644, 0o602, 0o620]) {
      chmodSync(keyFile, mode);
      expect(codesOf(openSecretsFile(path, { key: undefined, keyFile }))).toEqual([
        "secrets_identity_exposed",
      ]);
    }
  });

  test("with every fault at once", () => {
    const keyFile = put("nonsense", "key.txt");
    chmodSync(keyFile, 0o644);
    const codes = codesOf(openSecretsFile(put("A=1\n"), { key: "nonsense", keyFile }));
    const exposed = process.platform === "win32" ? [] : ["secrets_identity_exposed"];
    expect(codes).toEqual(["secrets_identity", ...exposed, "secrets_identity", "secrets_not_sops"]);
  });
});
