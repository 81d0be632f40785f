import { join } from "node:path";
import {
  findPackage,
  loadConfiguration,
  processEnvironment,
  type ConfigurationSources,
} from "#base/config/index.ts";
import { finishRestore } from "#base/files/index.ts";
import { operations } from "#operations/index.ts";
import type { Context } from "./command.ts";
import { buildCommands } from "./commands.ts";
import { exitCodes, exitOfFailure, problemOfFailure, type Exit } from "./exit-codes.ts";
import { listenForInterrupts, type Interrupts } from "./terminal.ts";
import { parseCommandLine } from "./program.ts";
import { renderFailure } from "./render-outcome.ts";
import { createSession, type Session } from "./session.ts";
import { sayNotice } from "./send.ts";
import { openTerminal } from "./terminal.ts";

/** Runs one command line to its end. What fails is said on standard error. */
async function runCli(
  words: readonly string[],
  sources: ConfigurationSources,
  interrupts: Interrupts,
): Promise<Exit> {
  const terminal = openTerminal(sources.environment);
  const commands = buildCommands(operations);
  const { version } = findPackage();
  const parsed = parseCommandLine(commands, words, terminal, version);
  if (parsed.command === null) return parsed.exit;
  const state: { session: Session | null } = { session: null };
  const context: Context = {
    terminal,
    json: parsed.json,
    workingDirectory: sources.workingDirectory,
    sources,
    interrupts,
    operations,
    commands,
    session: () => (state.session ??= openSession(context, version)),
  };
  try {
    const exit = await parsed.command.run(context, parsed.typed);
    await state.session?.close();
    return exit;
  } catch (thrown) {
    terminal.err.line(renderFailure(problemOfFailure(thrown), parsed.command, terminal.err));
    await state.session?.close();
    return exitOfFailure(thrown);
  }
}

function openSession(context: Context, version: string): Session {
  const load = () => loadConfiguration({ ...context.sources, role: "command" });
  const configuration = load();
  const { home } = configuration.config.storage;
  return createSession({
    runFolder: join(home, "run"),
    openEngine: async () => {
      const { serveApp } = await import("#app");
      // A restore that was interrupted brings settings and a key of its own.
      const isRestored = await finishRestore(home);
      return serveApp(isRestored ? load() : configuration, { host: "127.0.0.1", port: 0 });
    },
    say: (text) => sayNotice(context, text),
    onVersion: (running) => {
      if (running !== version)
        sayNotice(context, `the running server is Candor ${running}, this command is ${version}`);
    },
    signal: context.interrupts.signal,
  });
}

// What Candor writes is for this user alone, in whichever folder it lies.
process.umask(0o077);
const exit = await runCli(
  process.argv.slice(2),
  { flags: {}, environment: processEnvironment(), workingDirectory: process.cwd() },
  listenForInterrupts(() => process.exit(exitCodes.cancelled.code)),
);
process.exitCode = exitCodes[exit].code;
