import { existsSync, readdirSync } from "node:fs";
import { type EventLoopUtilization, performance } from "node:perf_hooks";
import { type EventLoopDelay, startDelaySampling } from "./event-loop-delay.ts";
import type { WatchedName } from "./metric-names.ts";

/** One value read from a room or the process; null: it could not be measured, and nobody is told a number. */
export type Reading = {
  readonly name: WatchedName;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number | null;
};

/** How often the use of the event loop is noted, and over how much of it is told, in milliseconds. */
const noteEveryMs = 5_000;
const toldOverMs = 60_000;

/** Where Linux lists the descriptors of a process. Elsewhere they are not measured. */
const descriptorFolder = "/proc/self/fd";

export type ProcessReadings = {
  readonly delay: () => EventLoopDelay;
  readonly read: () => Reading[];
  readonly stop: () => void;
};

/** Watches this process until it is stopped. It keeps no process alive. */
export function watchProcess(): ProcessReadings {
  const delay = startDelaySampling();
  let notes: { readonly at: number; readonly use: EventLoopUtilization }[] = [];
  const note = () => {
    const at = performance.now();
    // One note from before the minute stays: the minute is measured from it.
    const inside = notes.findIndex((old) => old.at > at - toldOverMs);
    notes = notes.slice(Math.max(0, (inside < 0 ? notes.length : inside) - 1));
    notes.push({ at, use: performance.eventLoopUtilization() });
  };
  note();
  const timer = setInterval(note, noteEveryMs).unref();
  const read = (): Reading[] => {
    const { rss, heapUsed, external } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    const { p50, p99, max } = delay.read();
    const since = notes[0]?.use;
    const seconds = (milliseconds: number | null) =>
      milliseconds === null ? null : milliseconds / 1000;
    const one = (name: WatchedName, value: number | null, labels: Reading["labels"] = {}) => ({
      name,
      labels,
      value,
    });
    return [
      one("candor_memory_bytes", rss, { kind: "resident" }),
      one("candor_memory_bytes", heapUsed, { kind: "heap" }),
      one("candor_memory_bytes", external, { kind: "external" }),
      one("candor_event_loop_delay_seconds", seconds(p50), { quantile: "0.5" }),
      one("candor_event_loop_delay_seconds", seconds(p99), { quantile: "0.99" }),
      one("candor_event_loop_delay_seconds", seconds(max), { quantile: "1" }),
      one(
        "candor_event_loop_utilization",
        since === undefined ? null : performance.eventLoopUtilization(since).utilization,
      ),
      one("process_cpu_seconds_total", (user + system) / 1e6),
      one("process_open_fds", countDescriptors()),
      one("process_start_time_seconds", performance.timeOrigin / 1000),
    ];
  };
  return {
    delay: delay.read,
    read,
    stop: () => {
      delay.stop();
      clearInterval(timer);
    },
  };
}

function countDescriptors(): number | null {
  // Reading the folder opens it: that one is not counted.
  return existsSync(descriptorFolder) ? readdirSync(descriptorFolder).length - 1 : null;
}
