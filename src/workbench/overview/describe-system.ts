import { findPackage } from "#base/config/index.ts";
import { type Machine, probeMachine } from "#base/workers/index.ts";
import type { OverviewDependencies } from "./create-overview.ts";

/** `failed`: the default model cannot be opened; health says why. */
export const runtimeStates = ["ready", "failed"] as const;

export type SystemInfo = {
  version: string;
  node: string;
  dataDirectory: string;
  startedAt: string;
  environment: string;
  runId: string;
  runtimes: { name: string; state: (typeof runtimeStates)[number] }[];
  machine: Omit<Machine, "accelerators"> & { accelerators: string[] };
  /** Null while its model cannot be opened. */
  defaultSpace: { id: string; name: string } | null;
};

/** What runs here: version, places, runtimes, machine. */
export async function describeSystem(
  { configuration, directory, state, models }: OverviewDependencies,
  startedAt: Date,
): Promise<SystemInfo> {
  const space = await models.embeddings.space().then(
    ({ id, name }) => ({ id, name }),
    async (thrown: unknown) => {
      await state.ledger.record(thrown, { operation: "system.info" });
      return null;
    },
  );
  const machine = probeMachine();
  return {
    version: findPackage().version,
    node: process.version,
    dataDirectory: directory.home,
    startedAt: startedAt.toISOString(),
    environment: configuration.config.environment,
    runId: state.ledger.runId,
    runtimes: [{ name: "static", state: space ? "ready" : "failed" }],
    machine: { ...machine, accelerators: [...machine.accelerators] },
    defaultSpace: space,
  };
}
