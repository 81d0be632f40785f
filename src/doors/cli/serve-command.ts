import { setTimeout as delay } from "node:timers/promises";
import { findPackage, loadCertificate, loadConfiguration } from "#base/config/index.ts";
import { DataDirectoryInUseError } from "#base/errors/index.ts";
import { finishRestore } from "#base/files/index.ts";
import { readServerFile } from "#base/network/index.ts";
import { join } from "node:path";
import { one, parameter, type CliCommand, type Context, type Typed } from "./command.ts";
import type { Exit } from "./exit-codes.ts";
import { renderFault } from "./render-outcome.ts";

/** How long the end may take before it is forced, in milliseconds. */
const closeMs = 10_000;

/** `candor serve`: the server of the data directory, until it is told to end. */
export const serveCommand: CliCommand = {
  words: ["serve"],
  summary: "Run the server: the API and its pages on one address, until Ctrl-C",
  parameters: [
    parameter("port", "Port to listen on, 0 for any free one (CANDOR_PORT, else 7340)", {
      kind: "number",
    }),
    parameter(
      "host",
      "Address to listen on; anything but a loopback address can be reached by others",
    ),
  ],
  kind: "process",
  operation: null,
  examples: ["candor serve", "candor serve --port 8080"],
  run: runServe,
};

async function runServe(context: Context, typed: Typed): Promise<Exit> {
  const { out, err } = context.terminal;
  const flags = { "server.port": one(typed, "port"), "server.host": one(typed, "host") };
  // A terminal belongs to the address that is printed there: log lines go to the file unless set otherwise.
  const role = err.isTerminal ? "command" : "server";
  const load = () => loadConfiguration({ ...context.sources, role, serves: true, flags });
  const found = load();
  // A restore that was interrupted brings settings and a key of its own.
  const isRestored = await named(found.config.storage.home, () =>
    finishRestore(found.config.storage.home),
  );
  const configuration = isRestored ? load() : found;
  for (const { severity, message } of configuration.faults)
    err.line(renderFault(severity, message, err));
  const { server, storage } = configuration.config;
  const { serveApp } = await import("#app");
  const served = await named(storage.home, () =>
    serveApp(configuration, {
      host: server.host,
      port: server.port,
      certificate: loadCertificate(server),
    }),
  );
  const { version } = findPackage();
  if (context.json) {
    const { url, signInUrl } = served;
    out.line(JSON.stringify({ version, url, signInUrl, home: storage.home, pid: process.pid }));
  } else {
    out.line(`Candor ${version} is ready at ${out.style("bold", served.url)}`);
    out.line(`Open ${out.style("bold", served.signInUrl)}`);
    out.line(
      `The link works once and for ${configuration.config.security.signInMinutes} minutes. The data is in ${storage.home}, the log in its folder logs. Ctrl-C ends the server.`,
    );
  }
  const crash = firstCrash();
  const crashed = await Promise.race([aborted(context.interrupts.signal), crash]);
  if (crashed) {
    const ledgerId = await served.app.ledger.record(crashed.thrown, { operation: "serve" });
    err.line(`a fault that nothing caught is in the ledger as ${ledgerId}; ending`);
  } else err.line("ending; a second signal ends at once");
  const ended = await Promise.race([
    served.close().then(() => true),
    delay(closeMs, false, { ref: false }),
  ]);
  if (ended) return crashed ? "failed" : "ok";
  err.line(`not everything ended within ${closeMs / 1000} s; leaving now`);
  process.exit(1);
}

/** Who holds the data directory, where somebody does. */
async function named<T>(home: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (thrown) {
    if (!(thrown instanceof DataDirectoryInUseError)) throw thrown;
    const owner = await readServerFile(join(home, "run"));
    const who =
      owner === null
        ? "Another Candor process, which is starting or ending,"
        : `Another Candor (process ${owner.pid}, ${owner.url})`;
    throw new DataDirectoryInUseError(`${who} owns the data directory ${home}.`, {
      cause: thrown,
      nextStep: {
        text: "Use that one (every command finds it by itself), end it, or name another data directory with CANDOR_HOME.",
      },
    });
  }
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener("abort", () => resolve(null), { once: true });
  });
}

/** The first error that nothing caught: after it the state is not to be trusted, so the server records it and ends. */
function firstCrash(): Promise<{ thrown: unknown }> {
  return new Promise((resolve) => {
    process.on("uncaughtException", (thrown) => resolve({ thrown }));
    process.on("unhandledRejection", (thrown) => resolve({ thrown }));
  });
}
