import { arch, availableParallelism, platform, totalmem } from "node:os";

/** What this process may use. */
export type Machine = {
  readonly platform: string;
  readonly arch: string;
  /** Cores that this process may run on at once. */
  readonly cores: number;
  /** Bytes of memory, or the limit of the container where that is lower. */
  readonly memoryBytes: number;
  /** Devices that were probed and answered. Nothing is probed yet, so it is empty: that says nothing about the machine. */
  readonly accelerators: readonly string[];
};

/** The machine as the operating system reports it; nothing is guessed. */
export function probeMachine(): Machine {
  // Without a limit the kernel reports 0 or a number far above the real memory.
  const limit = process.constrainedMemory();
  const memory = totalmem();
  return {
    platform: platform(),
    arch: arch(),
    cores: availableParallelism(),
    memoryBytes: limit > 0 && limit < memory ? limit : memory,
    accelerators: [],
  };
}
