import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Calls that fail, and with what. Faults of `write` are left to the full disk: a thread that cannot wake another dies. */
export const faults = {
  "an fsync meets an input/output error": { calls: "fsync,fdatasync", error: "EIO" },
  "a database write meets a full disk": { calls: "pwrite64,pwritev", error: "ENOSPC" },
  "a file cannot be opened, for too many are": { calls: "openat", error: "EMFILE" },
} as const satisfies Record<string, Fault>;
export type Fault = { readonly calls: string; readonly error: string };

export type Failed = { code: string; status: number; message: string };
export type Ran = {
  /** What the flow answered, or how it failed; null when the process died. */
  readonly answer: Record<string, unknown> | null;
  readonly failed: Failed | null;
  readonly died: string | null;
  /** How one more write, without faults, was answered after the flow: `added` or a code; null when there was none. */
  readonly later: string | null;
  readonly store: "ok" | "read_only" | null;
  /** Calls of this kind that the busiest thread made, and how many of them failed on purpose. */
  readonly calls: number;
  readonly injected: number;
};

/** Null where calls can be made to fail, else what is missing. */
export function missingTracer(): string | null {
  if (process.platform !== "linux") return "needs Linux";
  const { error, status } = spawnSync("strace", ["-o", "/dev/null", "true"]);
  if (error) return "needs strace: apt-get install strace";
  return status === 0 ? null : "needs the right to trace processes (ptrace is refused)";
}

const child = join(import.meta.dirname, "../../fixtures/faults/run-flow.ts");

/**
 * Runs `flow` over the data directory in `folder`. From the moment it begins, the `nth` call of the kind fails in each
 * thread (null: none does); the process is killed behind the answers.
 */
export async function runWithFault(
  folder: string,
  flow: string,
  fault: Fault,
  nth: number | null,
): Promise<Ran> {
  const running = spawn(process.execPath, [child, folder, flow], {
    stdio: ["pipe", "pipe", "pipe"],
    // One thread for files, so that "the Nth call" is the Nth of all that are not the database's.
    env: { ...process.env, NODE_OPTIONS: "", UV_THREADPOOL_SIZE: "1" },
  });
  let errors = "";
  running.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const ended = once(running, "close");
  const lines = createInterface({ input: running.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value } = await lines.next();
    return value === undefined ? null : (JSON.parse(String(value)) as Record<string, unknown>);
  };
  try {
    const ready = await next();
    if (!ready) throw new Error(`${flow} did not begin: ${errors}`);
    const log = join(folder, "calls");
    const tracer = await trace(
      Number(ready["ready"]),
      log,
      fault,
      nth === null ? null : String(nth),
    );
    running.stdin.write("go\n");
    const said = await next();
    // From here on no call fails any more.
    await tracer.stop();
    if (said) running.stdin.write("later\n");
    const after = said ? await next() : null;
    running.kill("SIGKILL");
    await ended;
    return {
      answer: (said?.["answer"] as Ran["answer"]) ?? null,
      failed: (said?.["failed"] as Failed) ?? null,
      died: said === null ? errors : null,
      later: (after?.["later"] as Ran["later"]) ?? null,
      store: (after?.["store"] as Ran["store"]) ?? null,
      ...countCalls(readFileSync(log, "utf8")),
    };
  } finally {
    running.kill("SIGKILL");
    await ended;
  }
}

/**
 * Makes calls of a process fail: those that `when` says (strace: `3`, `3+`), counted per thread from now on; null only
 * watches. Resolves when strace holds the process; `stop` lets it go, `ended` resolves when it has ended.
 */
export async function trace(
  pid: number,
  log: string,
  { calls, error }: Fault,
  when: string | null,
): Promise<{ ended: Promise<unknown>; stop: () => Promise<unknown> }> {
  const inject = when === null ? [] : ["-e", `inject=${calls}:error=${error}:when=${when}`];
  const words = ["-f", "-p", String(pid), "-o", log, "-e", `trace=${calls}`, ...inject];
  const tracer = spawn("strace", words, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(tracer, "close");
  await new Promise<void>((resolve, reject) => {
    let said = "";
    tracer.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.includes("attached")) resolve();
    });
    void ended.then(() => reject(new Error(`strace: ${said}`)));
  });
  return {
    ended,
    stop: () => {
      tracer.kill("SIGINT");
      return ended;
    },
  };
}

function countCalls(log: string): { calls: number; injected: number } {
  const byThread = new Map<string, number>();
  for (const line of log.split("\n")) {
    const thread = /^(\d+) +\w+\(/.exec(line)?.[1];
    if (thread !== undefined) byThread.set(thread, (byThread.get(thread) ?? 0) + 1);
  }
  return {
    calls: Math.max(0, ...byThread.values()),
    injected: log.split("(INJECTED)").length - 1,
  };
}
