import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAccess, localPrincipal, type Role } from "#base/access/index.ts";
import { type Certificate, loadConfiguration } from "#base/config/index.ts";
import { openSqlite } from "#base/database/index.ts";
import { createEventBus } from "#base/events/index.ts";
import { createJobs } from "#base/jobs/index.ts";
import { createAudit, openLedger } from "#base/ledger/index.ts";
import { createLogger, createMetrics, noTraces } from "#base/telemetry/index.ts";
import { openHttp, type HttpDoor } from "#doors/http/index.ts";
import { accessLimits } from "../fixtures/rooms/open-rooms.ts";
import type { App, Operation } from "#operations/define-operation.ts";

export type TestDoor = HttpDoor & {
  readonly app: App;
  readonly home: string;
  /** Headers of a caller with this role. */
  as(role: Role): Promise<Record<string, string>>;
};

type Options = {
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly limits?: Parameters<typeof openHttp>[2]["limits"];
  readonly certificate?: Certificate | null;
};

/** The door over `operations` and the real rooms of the base, in a folder of its own, on a free port. */
export async function openTestDoor(
  operations: readonly Operation[],
  { flags = {}, limits = {}, certificate = null }: Options = {},
): Promise<TestDoor> {
  const home = await mkdtemp(join(tmpdir(), "candor-http-"));
  const configuration = loadConfiguration({
    flags: { "storage.home": home, "server.port": 0, "logging.console": false, ...flags },
    environment: {},
    workingDirectory: home,
  });
  const { config } = configuration;
  const logger = createLogger({ ...config.logging, folder: join(home, "logs") });
  const database = await openSqlite({
    path: join(home, "candor.sqlite"),
    backups: join(home, "backups"),
    onFault: (error) => logger.failure(error),
  });
  const ledger = await openLedger({
    database,
    logger,
    artifacts: join(home, "artifacts"),
    facts: { version: "0.0.0", environment: "testing" },
  });
  const access = createAccess({
    database,
    secretKey: () => config.security.secretKey,
    limits: accessLimits,
    report: (thrown) => ledger.record(thrown),
  });
  const events = createEventBus();
  const metrics = createMetrics();
  const jobs = createJobs({ database, ledger, events, metrics, traces: noTraces });
  const audit = createAudit(database);
  const traces = noTraces;
  const base = { configuration, logger, metrics, traces, database, ledger, audit, access, jobs };
  // The operations of these tests use the rooms of the base alone.
  const app = base as unknown as App;
  const door = await openHttp(app, operations, {
    host: config.server.host,
    port: config.server.port,
    certificate,
    limits: { drainMs: 500, lingerMs: 20, ...limits },
  });
  const keys = new Map<Role, string>();
  return {
    ...door,
    app,
    home,
    as: async (role) => {
      const key =
        keys.get(role) ?? (await access.keys.create(localPrincipal, { name: role, role })).key;
      keys.set(role, key);
      return { host: `127.0.0.1:${door.port}`, authorization: `Bearer ${key}` };
    },
    close: async () => {
      await door.close();
      await jobs.close();
      metrics.close();
      await database.close();
      logger.close();
      await rm(home, { recursive: true });
    },
  };
}
