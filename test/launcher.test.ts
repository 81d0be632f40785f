import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** The first Node on this machine that Candor cannot run on; without one, the tests that need it are skipped. */
const oldNode = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/bin", "/usr/local/bin"]
  .map((folder) => join(folder, "node"))
  .filter((path) => existsSync(path))
  .find(
    (path) =>
      Number(/^v(\d+)\./.exec(execFileSync(path, ["--version"], { encoding: "utf8" }))?.[1]) < 24,
  );

const repository = join(import.meta.dirname, "..");
const pinned = join(
  repository,
  "node_modules",
  `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`,
);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "candor-launcher-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A package with the real launcher and a program of one file. */
function install(at: string, program: string, path = "src/doors/cli/main.ts") {
  mkdirSync(join(at, "bin"), { recursive: true });
  cpSync(join(repository, "bin", "candor.js"), join(at, "bin", "candor.js"));
  writeFileSync(
    join(at, "package.json"),
    '{ "name": "candor", "version": "0.0.0", "type": "module" }',
  );
  mkdirSync(dirname(join(at, path)), { recursive: true });
  writeFileSync(join(at, path), program);
  return join(at, "bin", "candor.js");
}

function pinInto(modules: string) {
  mkdirSync(modules, { recursive: true });
  symlinkSync(pinned, join(modules, pinned.slice(pinned.lastIndexOf("node-"))));
}

function run(
  node: string,
  launcher: string,
  words: string[] = [],
  environment: Record<string, string> = {},
) {
  const outcome = spawnSync(node, [launcher, ...words], {
    encoding: "utf8",
    env: {
      PATH: join(folder, "nothing"),
      HOME: folder,
      XDG_CACHE_HOME: join(folder, "cache"),
      ...environment,
    },
  });
  return { code: outcome.status, signal: outcome.signal, out: outcome.stdout, err: outcome.stderr };
}

const tell =
  "const words: string[] = process.argv.slice(2); console.log(JSON.stringify([process.version, words])); process.exitCode = 3;";

describe("on a Node that is new enough", () => {
  it("goes on in the same process with the compile cache on", () => {
    const launcher = install(
      folder,
      `import { getCompileCacheDir } from "node:module"; console.log(process.ppid, getCompileCacheDir());`,
    );
    const { code, out, err } = run(process.execPath, launcher);
    expect(err).toBe("");
    expect(code).toBe(0);
    expect(
      out.startsWith(`${process.pid} ${join(folder, "cache", "candor", "compile-cache")}`),
    ).toBe(true);
    expect(readdirSync(join(folder, "cache", "candor", "compile-cache"))).toHaveLength(1);
  });

  it("runs the compiled program of a release, also below node_modules", () => {
    const at = join(folder, "node_modules", "candor");
    const launcher = install(at, `console.log("compiled");`, "dist/doors/cli/main.js");
    install(at, `console.log("source");`);
    expect(run(process.execPath, launcher).out).toBe("compiled\n");
  });

  it("says so when the program is missing", () => {
    const launcher = install(folder, "", "elsewhere.txt");
    expect(run(process.execPath, launcher)).toMatchObject({
      code: 1,
      err: expect.stringContaining("program is missing"),
    });
  });
});

describe.skipIf(oldNode === undefined)("on an old Node", () => {
  const old = oldNode ?? "";

  it.skipIf(!existsSync(pinned)).each(["clone", "dependency", "global"])(
    "finds the pinned Node in a %s and passes words and exit code on",
    (kind) => {
      const at = kind === "clone" ? folder : join(folder, "lib", "node_modules", "candor");
      const launcher = install(
        at,
        kind === "clone" ? tell : tell.replace(": string[]", ""),
        kind === "clone" ? undefined : "dist/doors/cli/main.js",
      );
      pinInto(
        kind === "dependency" ? join(folder, "lib", "node_modules") : join(at, "node_modules"),
      );
      const started = kind === "global" ? join(folder, "candor") : launcher;
      if (kind === "global") symlinkSync(launcher, started);
      const { code, out, err } = run(old, started, ["a b", "--json", ""]);
      expect(err).toBe("");
      expect(code).toBe(3);
      expect(JSON.parse(out)).toEqual([expect.stringMatching(/^v24\./), ["a b", "--json", ""]]);
    },
  );

  it("uses CANDOR_NODE, or refuses it by name when it does not fit", () => {
    const launcher = install(folder, tell);
    expect(run(old, launcher, [], { CANDOR_NODE: process.execPath }).code).toBe(3);
    pinInto(join(folder, "node_modules"));
    for (const named of [old, join(folder, "nowhere")]) {
      const { code, err } = run(old, launcher, [], { CANDOR_NODE: named });
      expect(code).toBe(1);
      expect(err).toContain(`CANDOR_NODE names ${named}`);
    }
  });

  it("finds a fitting Node on the PATH, past one that does not start", () => {
    const launcher = install(folder, tell);
    const broken = join(folder, "broken");
    mkdirSync(broken);
    writeFileSync(join(broken, "node"), "#!/nowhere/interpreter\n");
    chmodSync(join(broken, "node"), 0o755);
    const path = [broken, dirname(old), dirname(process.execPath)].join(delimiter);
    expect(run(old, launcher, [], { PATH: path }).code).toBe(3);
  });

  it("goes on looking when the pinned Node cannot be started", () => {
    const launcher = install(folder, tell);
    const broken = join(folder, "node_modules", pinned.slice(pinned.lastIndexOf("node-")));
    mkdirSync(join(broken, "bin"), { recursive: true });
    writeFileSync(join(broken, "package.json"), '{ "version": "24.21.0" }');
    writeFileSync(join(broken, "bin", "node"), "#!/nowhere/interpreter\n");
    chmodSync(join(broken, "bin", "node"), 0o755);
    expect(run(old, launcher, [], { PATH: dirname(process.execPath) }).code).toBe(3);
  });

  it("says what is missing and how to get it", () => {
    const { code, err, out } = run(old, install(folder, tell));
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("Candor needs Node 24.15 or newer; this is Node ");
    expect(err).toContain("--include=optional");
    expect(err).toContain("CANDOR_NODE");
  });

  it.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "passes %s on once and ends as the program ends",
    async (signal) => {
      const launcher = install(
        folder,
        `let heard = 0;
       process.on("${signal}", () => { heard += 1; setTimeout(() => { console.log("heard", heard); process.exit(7); }, 200); });
       setInterval(() => {}, 1000); console.log("ready");`,
      );
      const child = spawn(old, [launcher], {
        env: { CANDOR_NODE: process.execPath, HOME: folder },
        stdio: ["ignore", "pipe", "inherit"],
      });
      let out = "";
      child.stdout.on("data", (chunk) => {
        if (out === "") child.kill(signal);
        out += String(chunk);
      });
      const code = await new Promise((resolve) => child.on("close", resolve));
      expect(out).toBe("ready\nheard 1\n");
      expect(code).toBe(7);
    },
  );

  it("ends by the signal that ended the program", () => {
    const launcher = install(folder, `process.kill(process.pid, "SIGKILL");`);
    expect(run(old, launcher, [], { CANDOR_NODE: process.execPath })).toMatchObject({
      code: null,
      signal: "SIGKILL",
    });
  });
});
