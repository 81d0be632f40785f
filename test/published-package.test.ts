import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test, type TestContext } from "vitest";

const repository = join(import.meta.dirname, "..");

/** The npm beside each Node on the path: users install with whichever they have. */
const installers = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/bin", "/usr/local/bin"]
  .filter((folder) => existsSync(join(folder, "npm")) && existsSync(join(folder, "node")))
  .map((folder) => ({
    folder,
    major: Number(
      /^v(\d+)/.exec(execFileSync(join(folder, "node"), ["--version"], { encoding: "utf8" }))?.[1],
    ),
  }));

/** The oldest Node with an npm; with it the package's own Node must take over. */
const oldest = installers.toSorted((one, other) => one.major - other.major)[0];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "candor-package-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const emptyFolder = (name: string): string => {
  const path = join(folder, name);
  mkdirSync(path);
  return path;
};

/** The environment of somebody who has no checkout of Candor: the folder's own programs and the machine's. */
const userEnvironment = (inside: string, nodeFolder: string) => ({
  PATH: [join(inside, "node_modules", ".bin"), nodeFolder, "/usr/bin", "/bin"].join(delimiter),
  HOME: inside,
  CANDOR_HOME: join(folder, "home"),
});

/** Packs the repository as a release is packed, and gives the path of the tarball. */
function pack(): string {
  const into = emptyFolder("packed");
  execFileSync("npm", ["run", "package", "--", "--pack-destination", into], {
    cwd: repository,
    stdio: "pipe",
  });
  const [name] = readdirSync(into);
  if (name === undefined) throw new Error("npm pack made no file");
  return join(into, name);
}

const noNetwork = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH/;

/** Installs the tarball into an empty folder, as a user would. Without a registry the test is skipped, but never in CI. */
function install(tarball: string, npmFolder: string, context: TestContext): string {
  const into = emptyFolder("installed");
  writeFileSync(join(into, "package.json"), '{ "private": true }');
  const words = ["install", tarball, "--prefer-offline", "--no-audit", "--no-fund"];
  const { status, stderr } = spawnSync(join(npmFolder, "npm"), words, {
    cwd: into,
    encoding: "utf8",
    env: { ...process.env, PATH: [npmFolder, "/usr/bin", "/bin"].join(delimiter) },
  });
  if (status !== 0 && noNetwork.test(stderr) && !process.env["CI"])
    context.skip(`the package registry cannot be reached: ${noNetwork.exec(stderr)?.[0]}`);
  expect(status, stderr).toBe(0);
  return into;
}

test(
  "the packed package, installed in an empty folder, indexes a folder, searches it and serves",
  { timeout: 300_000 },
  async (context) => {
    if (!oldest) return context.skip("no npm on this machine");
    const tarball = pack();
    const contents = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).split("\n");
    expect(contents.filter((path) => /\.tsx?$|\/(?:src|test|bench)\//.test(path))).toEqual([]);
    for (const name of ["README.md", "LICENSE", "CHANGELOG.md", "assets/candor-static-256/NOTICE"])
      expect(contents).toContain(`package/${name}`);

    const installed = install(tarball, oldest.folder, context);
    const env = userEnvironment(installed, oldest.folder);
    const program = join(installed, "node_modules", ".bin", "candor");
    const candor = (...words: string[]) =>
      spawnSync(program, words, { cwd: installed, encoding: "utf8", env });

    const documents = emptyFolder("documents");
    writeFileSync(join(documents, "backup.md"), "# Backups\n\nCopy the newest folder back.\n");
    writeFileSync(join(documents, "lunch.md"), "# Lunch\n\nMonday's soup has lentils.\n");
    writeFileSync(join(documents, "add.ts"), "export const add = (a: number) => a + 1;\n");
    const indexed = candor("index", documents, "--collection", "handbook", "--json");
    expect(indexed.status, indexed.stderr).toBe(0);
    expect(JSON.parse(indexed.stdout)).toMatchObject({ job: { state: "succeeded", done: 3 } });

    const found = candor("search", "restore a backup", "--collection", "handbook", "--json");
    expect(found.status, found.stderr).toBe(0);
    const answer = JSON.parse(found.stdout);
    expect(answer.items[0]).toMatchObject({ key: "backup.md", title: "Backups" });
    expect(answer.legs.map(({ state }: { state: string }) => state)).toEqual(["run", "run"]);

    const server = spawn(program, ["serve", "--port", "0"], { cwd: installed, env });
    try {
      let url: string | undefined;
      for await (const line of createInterface({ input: server.stdout })) {
        url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
        if (url !== undefined) break;
      }
      const page = await fetch(`${url}/`);
      expect(page.status).toBe(200);
      expect(await page.text()).toContain("Candor");
    } finally {
      server.kill();
      if (server.exitCode === null) await once(server, "exit");
    }
    expect(server.exitCode).toBe(0);
  },
);
