// Loaded first into each worker thread of a coverage run (see cover-threads.ts): counts what the thread runs, and writes it down
// when it is asked to, in the form that V8 writes for a process.
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { fileURLToPath } from "node:url";
import { threadId } from "node:worker_threads";

const into = new URL(import.meta.url).searchParams.get("into") ?? "";
const session = new Session();
session.connect();
session.post("Profiler.enable");
session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

process.on("workerMessage", () => {
  session.post("Profiler.takePreciseCoverage", (error, report) => {
    if (error !== null) throw error;
    const name = `thread-${process.pid}-${threadId}-${process.hrtime.bigint()}.json`;
    writeFileSync(fileURLToPath(`${into}/${name}`), JSON.stringify(report));
  });
});
