import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

const program = fileURLToPath(new URL("../../bin/candor.js", import.meta.url));

export type Ended = { code: number | null; stdout: string; stderr: string };

/** A started `candor`: what it wrote so far, and how it ends. */
export type Running = {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when standard output or standard error holds `text`; rejects when the command ends before. */
  saw(text: string): Promise<void>;
  written(): { stdout: string; stderr: string };
};

/** Starts the real command with its own data directory and no configuration from outside. */
export function startCandor(
  home: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Running {
  const child = spawn(process.execPath, [program, ...words], {
    cwd: home,
    env: {
      PATH: process.env["PATH"],
      HOME: home,
      CANDOR_HOME: join(home, "data"),
      // Compiled code is shared by all tests: a home of its own would compile everything anew.
      XDG_CACHE_HOME: join(tmpdir(), "candor-test-cache"),
      ...environment,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const texts = { stdout: "", stderr: "" };
  const watchers = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      texts[name] += text;
      for (const watcher of watchers) watcher();
    });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...texts }));
  });
  return {
    child,
    ended,
    written: () => ({ ...texts }),
    saw: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (texts.stdout.includes(text) || texts.stderr.includes(text)) resolve();
        };
        watchers.add(look);
        look();
        void ended.then(({ code, stdout, stderr }) =>
          reject(new Error(`ended with ${code} before "${text}": ${stdout}\n${stderr}`)),
        );
      }),
  };
}

/** Runs `candor` to its end. */
export function runCandor(
  home: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return startCandor(home, words, environment).ended;
}

/** A new folder for a data directory and files; the data directory is `data` in it. */
export async function makeHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "candor-cli-"));
  homes.push(home);
  return home;
}

const homes: string[] = [];
afterAll(async () => {
  for (const home of homes) await rm(home, { recursive: true, force: true, maxRetries: 3 });
});

/** Writes files below `folder` by their relative paths. */
export async function writeFiles(
  folder: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

/** As many files with as many different words as keep an index job busy for a while. */
export function manyFiles(count: number): Record<string, string> {
  const paragraph = (file: number, part: number) =>
    `# Part ${part} of ${file}\n\nWhat number ${file * 31 + part} says about servers and backups, at length.\n`;
  return Object.fromEntries(
    Array.from({ length: count }, (_, file) => [
      `many/${file}.md`,
      Array.from({ length: 40 }, (_unused, part) => paragraph(file, part)).join("\n"),
    ]),
  );
}
