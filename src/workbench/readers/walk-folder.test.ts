import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, realpath, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { largestDocumentBytes } from "./document-limit.ts";
import { readFileSafely, walkFolder, type WalkEntry, type WalkOptions } from "./walk-folder.ts";

let root = "";
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "candor-walk-")));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function put(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [key, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, key)), { recursive: true });
    await writeFile(join(root, key), content);
  }
}

async function walk(options: WalkOptions = {}): Promise<WalkEntry[]> {
  return Array.fromAsync(walkFolder(root, options));
}

/** The keys found, and the others with their reason or error code. */
async function outline(options: WalkOptions = {}): Promise<string[]> {
  return (await walk(options)).map((entry) => {
    if (entry.kind === "file") return entry.key;
    return `${entry.key}: ${entry.kind === "skipped" ? entry.reason : entry.error.code}`;
  });
}

describe("a walk", () => {
  test("gives files with size and time, in the order of their bytes, folder by folder", async () => {
    await put({
      "b.md": "two",
      "a/z.md": "1",
      "a/b/c.txt": "x",
      "B.md": "y",
      "ä.md": "z",
      "a.md": "w",
    });
    await utimes(join(root, "b.md"), 1_700_000_000, 1_700_000_000.25);
    const entries = await walk();
    expect(entries.map((entry) => entry.key)).toEqual([
      "B.md",
      "a/b/c.txt",
      "a/z.md",
      "a.md",
      "b.md",
      "ä.md",
    ]);
    expect(entries[4]).toEqual({
      kind: "file",
      key: "b.md",
      path: join(root, "b.md"),
      bytes: 3,
      modifiedMs: 1_700_000_000_250,
    });
  });

  test("leaves out what has no place in an index, each with its reason, a folder as one entry", async () => {
    await put({
      ".git/config": "x",
      "node_modules/a/index.js": "x",
      "node_modules/b/index.js": "x",
      "dist/a.js": "x",
      "env-of-mine/pyvenv.cfg": "x",
      "env-of-mine/lib/a.py": "x",
      "target/CACHEDIR.TAG": "x",
      "target/a.rs": "x",
      "package-lock.json": "{}",
      "lib.min.js": "x",
      ".DS_Store": "x",
      "photo.JPG": "x",
      "notes.md~": "x",
      "empty.md": "",
      "kept.md": "x",
    });
    expect(await outline()).toEqual([
      ".DS_Store: system file",
      ".git: version control folder",
      "dist: build output",
      "empty.md: empty",
      "env-of-mine: dependency folder",
      "kept.md",
      "lib.min.js: minified file",
      "node_modules: dependency folder",
      "notes.md~: temporary file",
      "package-lock.json: lock file",
      "photo.JPG: binary",
      "target: cache folder",
    ]);
  });

  test("never gives files that may hold secrets, whatever is included or un-ignored", async () => {
    const secrets = [
      ".env",
      ".env.production",
      "app.env",
      "server.pem",
      "id_rsa",
      "id_ed25519.pub",
      "tls.key",
      "credentials.json",
      "Credentials",
      ".npmrc",
      ".netrc",
      "vault.kdbx",
      "secrets.yaml",
      ".git-credentials",
      "prod.tfvars",
    ];
    await put({
      ...Object.fromEntries(secrets.map((name) => [name, "hidden"])),
      ".ssh/config": "x",
      ".candorignore": "!.env\n!*.pem\n!.ssh\n",
      "monkey.md": "x",
    });
    const entries = await walk({ include: ["**", ".*", ".ssh/**"] });
    const files = entries.filter((entry) => entry.kind === "file").map((entry) => entry.key);
    expect(files).toEqual(["monkey.md"]);
    expect(
      entries.filter((entry) => entry.kind === "skipped" && entry.reason === "may hold secrets"),
    ).toHaveLength(secrets.length + 1);
  });

  test("obeys nested ignore files: the deepest rule decides, .candorignore after .gitignore", async () => {
    await put({
      ".gitignore": "*.log\n/build\nsub/private/\n",
      ".candorignore": "drafts/\n!dist\n",
      "a.log": "x",
      "a.md": "x",
      "build/x.md": "x",
      "dist/x.md": "x",
      "drafts/x.md": "x",
      "sub/.gitignore": "!keep.log\nlocal.md\n",
      "sub/keep.log": "x",
      "sub/other.log": "x",
      "sub/local.md": "x",
      "sub/build/x.md": "x",
      "sub/private/x.md": "x",
      "local.md": "x",
      "both/.gitignore": "x.md\n",
      "both/.candorignore": "!x.md\n",
      "both/x.md": "x",
    });
    expect(await outline()).toEqual([
      ".candorignore: ignore file",
      ".gitignore: ignore file",
      "a.log: ignored by .gitignore",
      "a.md",
      "both/.candorignore: ignore file",
      "both/.gitignore: ignore file",
      "both/x.md",
      "build: ignored by .gitignore",
      "dist/x.md",
      "drafts: ignored by .candorignore",
      "local.md",
      "sub/.gitignore: ignore file",
      "sub/build/x.md",
      "sub/keep.log",
      "sub/local.md: ignored by sub/.gitignore",
      "sub/other.log: ignored by .gitignore",
      "sub/private: ignored by .gitignore",
    ]);
  });

  test("follows no link: inside, outside, broken and cyclic ones are named", async () => {
    await put({ "real/a.md": "x" });
    await symlink(join(root, "real/a.md"), join(root, "file-link.md"));
    await symlink("real", join(root, "folder-link"));
    await symlink("/etc", join(root, "outside"));
    await symlink("nowhere", join(root, "broken"));
    await symlink("loop", join(root, "loop"));
    await symlink("..", join(root, "real/up"));
    expect(await outline()).toEqual([
      "broken: broken link",
      "file-link.md: link",
      "folder-link: link",
      "loop: broken link",
      "outside: link out of the folder",
      "real/a.md",
      "real/up: link out of the folder",
    ]);
  });

  test("names sockets and FIFOs, odd names, too long paths and too large files", async () => {
    execFileSync("mkfifo", [join(root, "pipe.md")]);
    await put({ "line\nend.md": "x", "escape\u001b[31m.md": "x", "spaces are fine .md": "x" });
    await writeFile(
      Buffer.concat([Buffer.from(`${root}/bad`), Buffer.from([0xff]), Buffer.from(".md")]),
      "x",
    );
    await writeFile(join(root, "large.txt"), Buffer.alloc(largestDocumentBytes + 1, 97));
    const deep = Array.from({ length: 3 }, () => "d".repeat(200)).join("/");
    await put({ [`${deep}/a.md`]: "x" });
    const found = await outline();
    expect(found).toEqual([
      "bad\ufffd.md: name is not UTF-8",
      expect.stringMatching(/^d{200}\/d{200}\/d{109}….*path longer than 512 characters$/),
      "escape\\u001b[31m.md: name has control characters",
      "large.txt: larger than 10 MB",
      "line\\u000aend.md: name has control characters",
      "pipe.md: not a regular file",
      "spaces are fine .md",
    ]);
  });

  test.skipIf(process.getuid?.() === 0)(
    "a folder that cannot be read is a failure of that folder",
    async () => {
      await put({ "closed/a.md": "x", "open/a.md": "x" });
      await chmod(join(root, "closed"), 0);
      const entries = await walk();
      await chmod(join(root, "closed"), 0o700);
      expect(entries[0]).toMatchObject({ kind: "failed", key: "closed", directory: true });
      expect(entries[1]).toMatchObject({ kind: "file", key: "open/a.md" });
    },
  );

  test("a folder whose ignore file cannot be used is a failure: nothing ignored is read", async () => {
    await put({ "sub/.gitignore": `${"x".repeat(1_000_001)}\n`, "sub/a.md": "x", "z.md": "x" });
    const entries = await walk();
    expect(entries[0]).toMatchObject({ kind: "failed", key: "sub", directory: true });
    expect(entries[1]).toMatchObject({ kind: "file", key: "z.md" });
  });

  test("streams 10,000 files and stops on a signal", async () => {
    await mkdir(join(root, "many"));
    for (let index = 0; index < 10_000; index += 1) {
      await writeFile(join(root, "many", `${index}.md`), "x");
    }
    const stop = new AbortController();
    let seen = 0;
    for await (const entry of walkFolder(root)) seen += entry.kind === "file" ? 1 : 0;
    expect(seen).toBe(10_000);
    seen = 0;
    const cancelled = (async () => {
      for await (const _ of walkFolder(root, { signal: stop.signal }))
        if (++seen === 10) stop.abort();
    })();
    await expect(cancelled).rejects.toMatchObject({ code: "cancelled" });
    expect(seen).toBe(10);
  });

  test("a missing root and a file as root are refused", async () => {
    await put({ "a.md": "x" });
    await expect(Array.fromAsync(walkFolder(join(root, "no")))).rejects.toMatchObject({
      code: "file_missing",
    });
    await expect(Array.fromAsync(walkFolder(join(root, "a.md")))).rejects.toMatchObject({
      code: "input_invalid",
    });
  });
});

describe("globs", () => {
  const files = {
    "a.md": "x",
    "b.txt": "x",
    "docs/c.md": "x",
    "docs/deep/d.md": "x",
    "docs/e.txt": "x",
    "src/f.md": "x",
  };

  test.each([
    [{ include: ["*.md"] }, ["a.md", "docs/c.md", "docs/deep/d.md", "src/f.md"]],
    [{ include: ["docs/**"] }, ["docs/c.md", "docs/deep/d.md", "docs/e.txt"]],
    [{ include: ["docs"] }, ["docs/c.md", "docs/deep/d.md", "docs/e.txt"]],
    [{ include: ["docs/*.{md,txt}"] }, ["docs/c.md", "docs/e.txt"]],
    [{ include: ["**/deep/*", "b.txt"] }, ["b.txt", "docs/deep/d.md"]],
    [{ exclude: ["docs/"] }, ["a.md", "b.txt", "src/f.md"]],
    [{ exclude: ["*.md"] }, ["b.txt", "docs/e.txt"]],
    [{ include: ["docs/**"], exclude: ["deep"] }, ["docs/c.md", "docs/e.txt"]],
  ] as const)("%j choose %j", async (options, expected) => {
    await put(files);
    const found = await walk(options);
    expect(found.filter((entry) => entry.kind === "file").map((entry) => entry.key)).toEqual(
      expected,
    );
  });

  test("an excluded folder and one that nothing included lies in are one entry each", async () => {
    await put(files);
    expect(await outline({ include: ["docs/**"], exclude: ["docs/deep/**"] })).toEqual([
      "a.md: not included",
      "b.txt: not included",
      "docs/c.md",
      "docs/deep: excluded by docs/deep/**",
      "docs/e.txt",
      "src: not included",
    ]);
  });

  test.each([
    "",
    " ",
    "/etc/**",
    "../up",
    "a/../../b",
    "a[b",
    "{a,b",
    "{a,{b}}",
    "!a",
    "a\\b",
    "a\0b",
    "{1..99}",
    "+(a|b)",
    "*a*a*a*a*a*a*a",
    "C:/x",
    "x".repeat(257),
  ])("%j is refused", async (glob) => {
    for (const options of [{ include: [glob] }, { exclude: ["ok", glob] }]) {
      await expect(walk(options)).rejects.toMatchObject({ code: "input_invalid" });
    }
  });
});

describe("reading a file", () => {
  test("gives its bytes and time", async () => {
    await put({ "a/b.md": "Größe" });
    await utimes(join(root, "a/b.md"), 1_700_000_000, 1_700_000_000);
    const { bytes, modifiedMs } = await readFileSafely(root, "a/b.md");
    expect(Buffer.from(bytes).toString()).toBe("Größe");
    expect(modifiedMs).toBe(1_700_000_000_000);
  });

  test("never leaves the root and follows no link, in the name or on the way", async () => {
    await put({ "in/a.md": "x" });
    await symlink("/etc", join(root, "out"));
    await symlink("in", join(root, "inside"));
    await symlink("/etc/passwd", join(root, "passwd"));
    for (const key of [
      "../x",
      "/etc/passwd",
      "in/../in/a.md",
      "in//a.md",
      "a\0b",
      "",
      "out/passwd",
      "inside/a.md",
      "passwd",
    ]) {
      await expect(readFileSafely(root, key)).rejects.toMatchObject({ code: "path_refused" });
    }
  });

  test("a FIFO is refused and does not hang; folders, missing and large files are refused", async () => {
    execFileSync("mkfifo", [join(root, "pipe")]);
    await mkdir(join(root, "folder"));
    await writeFile(join(root, "large"), Buffer.alloc(largestDocumentBytes + 1));
    await expect(readFileSafely(root, "pipe")).rejects.toMatchObject({ code: "file_unreadable" });
    await expect(readFileSafely(root, "folder")).rejects.toMatchObject({ code: "file_unreadable" });
    await expect(readFileSafely(root, "missing")).rejects.toMatchObject({ code: "file_missing" });
    await expect(readFileSafely(root, "large")).rejects.toMatchObject({
      code: "document_too_large",
    });
  });

  test.skipIf(process.platform !== "linux")(
    "a file with more bytes than its size says is refused",
    async () => {
      const reading = readFileSafely("/proc", `${process.pid}/status`);
      await expect(reading).rejects.toMatchObject({ code: "file_changed", retryable: true });
    },
  );

  test("a file that changes while it is read is refused with an error that may be tried again", async () => {
    const path = join(root, "a.txt");
    await writeFile(path, Buffer.alloc(9_000_000, 97));
    const errors: unknown[] = [];
    for (let round = 1; round < 100 && errors.length === 0; round += 1) {
      let ended = false;
      const reading = readFileSafely(root, "a.txt").then(
        () => (ended = true),
        (error: unknown) => errors.push(error),
      );
      for (let step = 1; step < 50 && !ended && errors.length === 0; step += 1) {
        await utimes(path, 1_700_000_000, 1_700_000_000 + round * 100 + step);
      }
      await reading;
    }
    expect(errors[0]).toMatchObject({ code: "file_changed", retryable: true });
  });
});
