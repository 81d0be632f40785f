// Loaded before the tests of a coverage run: every worker thread that they start counts what it runs, and is asked for it before
// it is ended. A thread that is too busy to answer is ended all the same, and what only it ran counts as not run.
import { mkdirSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { pathToFileURL } from "node:url";
import threads, { postMessageToThread, type WorkerOptions } from "node:worker_threads";

const folder = process.env["NODE_V8_COVERAGE"];
if (folder === undefined) throw new Error("NODE_V8_COVERAGE names no folder for the reports");

mkdirSync(folder, { recursive: true });

/** How long a thread may take to answer, in milliseconds: longer than a garbage collection, shorter than a test. */
const patienceMs = 500;

const endedOrBusy = new Set(["ERR_WORKER_MESSAGING_FAILED", "ERR_WORKER_MESSAGING_TIMEOUT"]);

const counting = new URL("./cover-thread.ts", import.meta.url);
counting.searchParams.set("into", pathToFileURL(folder).href);

class CountingWorker extends threads.Worker {
  constructor(task: string | URL, options: WorkerOptions = {}) {
    super(task, { ...options, execArgv: [...(options.execArgv ?? []), "--import", counting.href] });
  }

  override async terminate(): Promise<number> {
    try {
      await postMessageToThread(this.threadId, "tell", patienceMs);
    } catch (thrown) {
      const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
      if (!endedOrBusy.has(code)) throw thrown;
    }
    return super.terminate();
  }
}

threads.Worker = CountingWorker;
syncBuiltinESMExports();
