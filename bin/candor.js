#!/usr/bin/env node
// Starts Candor on a Node that can run it: this one, the one that was installed with Candor, or one named or found on the machine.
// Plain JavaScript in old words (no ?., ?? or top-level await), so that an old Node reads it and can say what is missing.
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import * as nodeModule from "node:module";
import { homedir, tmpdir } from "node:os";
import { delimiter, dirname, isAbsolute, join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** Older ones carry a SQLite that can corrupt a write-ahead log. */
const oldest = { major: 24, minor: 15 };
const launcher = fileURLToPath(import.meta.url);
const packageFolder = dirname(dirname(launcher));

if (isNewEnough(process.versions.node)) startHere();
else startElsewhere(candidates());

function isNewEnough(version) {
  const numbers = /^v?(\d+)\.(\d+)\./.exec(version);
  if (numbers === null) return false;
  const major = Number(numbers[1]);
  return major > oldest.major || (major === oldest.major && Number(numbers[2]) >= oldest.minor);
}

/** Goes on in this process. */
function startHere() {
  nodeModule.enableCompileCache(compileCacheFolder());
  const source = join(packageFolder, "src", "doors", "cli", "main.ts");
  const compiled = join(packageFolder, "dist", "doors", "cli", "main.js");
  // Node strips types from a clone's files only, never below node_modules.
  const inModules = packageFolder.split(sep).includes("node_modules");
  const main = existsSync(source) && !inModules ? source : compiled;
  if (existsSync(main)) void import(pathToFileURL(main).href);
  else
    fail([
      `Candor's program is missing: neither ${source} nor ${compiled} can be run.`,
      "Install Candor again.",
    ]);
}

/** Compiled code is kept per user, never where other users could put some of theirs. */
function compileCacheFolder() {
  const environment = process.env;
  if (process.platform === "win32")
    return join(environment.LOCALAPPDATA || tmpdir(), "candor", "compile-cache");
  const home = homedir();
  const caches =
    environment.XDG_CACHE_HOME ||
    (home && join(home, process.platform === "darwin" ? "Library/Caches" : ".cache"));
  return caches
    ? join(caches, "candor", "compile-cache")
    : join(tmpdir(), `candor-${process.getuid()}`);
}

/** The programs to try, the best first; each is looked for only when those before it did not start. */
function* candidates() {
  const named = process.env.CANDOR_NODE;
  if (named) {
    const version = versionOf(named);
    if (version !== null && isNewEnough(version)) yield named;
    else refuseNamed(named, version);
    return;
  }
  const pinned = pinnedNode();
  if (pinned !== null) yield pinned;
  const name = process.platform === "win32" ? "node.exe" : "node";
  for (const folder of (process.env.PATH || "").split(delimiter)) {
    const path = join(folder, name);
    if (!isAbsolute(folder) || path === process.execPath || !existsSync(path)) continue;
    const version = versionOf(path);
    if (version !== null && isNewEnough(version)) yield path;
  }
}

/** What somebody chose is used or refused, never passed over. */
function refuseNamed(path, version) {
  const what = version === null ? "cannot be run as Node" : `is Node ${version}`;
  process.stderr.write(`CANDOR_NODE names ${path}, which ${what}.\n`);
}

/** The Node of Candor's own optional dependency, found as Node finds packages from here: in a clone, as a dependency, installed globally. */
function pinnedNode() {
  const platform = process.platform === "win32" ? "win" : process.platform;
  const program = process.platform === "win32" ? "bin/node.exe" : "bin/node";
  const require = nodeModule.createRequire(import.meta.url);
  try {
    const description = require.resolve(`node-${platform}-${process.arch}/package.json`);
    const path = join(dirname(description), program);
    return isNewEnough(require(description).version) && existsSync(path) ? path : null;
  } catch (thrown) {
    if (thrown.code === "MODULE_NOT_FOUND") return null; // optional: not every platform has one
    throw thrown;
  }
}

function versionOf(path) {
  try {
    return execFileSync(path, ["--version"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 10000,
    }).trim();
  } catch {
    return null; // it cannot be run, so it is no candidate
  }
}

/** Starts this launcher again on the first program that can be started, and ends as it ends. */
function startElsewhere(programs) {
  const next = programs.next();
  if (next.done)
    return fail([
      `Candor needs Node ${oldest.major}.${oldest.minor} or newer; this is Node ${process.versions.node}.`,
      "Any one of these helps:",
      "  - install Candor with its optional dependencies, which bring a fitting Node: npm install --include=optional",
      "  - install Node 24 from https://nodejs.org",
      "  - set CANDOR_NODE to the path of a fitting Node",
    ]);
  const child = spawn(next.value, [launcher].concat(process.argv.slice(2)), { stdio: "inherit" });
  if (child.pid !== undefined) forwardSignals(child);
  child.on("error", () => startElsewhere(programs)); // such as a program for another C library
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    for (const each of ["SIGINT", "SIGTERM", "SIGHUP"]) process.removeAllListeners(each);
    process.kill(process.pid, signal);
    // Reached when the signal did not end this process, such as one that is ignored.
    setTimeout(() => process.exit(1), 100);
  });
}

/** Passes signals on. What a terminal or a Windows console sends reaches the child by itself: twice would mean "end at once". */
function forwardSignals(child) {
  const fromTerminal = Boolean(process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
    process.on(signal, () => {
      const arrivesAnyway = process.platform === "win32" || (signal === "SIGINT" && fromTerminal);
      if (!arrivesAnyway) child.kill(signal);
    });
}

function fail(lines) {
  process.stderr.write(`${lines.join("\n")}\n`);
  process.exitCode = 1;
}
