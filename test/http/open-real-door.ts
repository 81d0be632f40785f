import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localPrincipal, type Role } from "#base/access/index.ts";
import { loadConfiguration } from "#base/config/index.ts";
import { openApp, type OpenApp } from "#app";
import { openHttp, type HttpDoor } from "#doors/http/index.ts";
import { operations } from "#operations/index.ts";

export type RealDoor = HttpDoor & {
  readonly app: OpenApp;
  /** Headers of a caller with this role; null: of nobody. */
  as(role: Role | null): Promise<Record<string, string>>;
};

type Options = {
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly limits?: Parameters<typeof openHttp>[2]["limits"];
};

/** The product's own table over all its rooms, in a folder of its own, on a free port. */
export async function openRealDoor({ flags = {}, limits = {} }: Options = {}): Promise<RealDoor> {
  const home = await mkdtemp(join(tmpdir(), "candor-real-"));
  const configuration = loadConfiguration({
    flags: { "storage.home": home, "server.port": 0, "logging.console": false, ...flags },
    environment: {},
    workingDirectory: home,
  });
  const app = await openApp(configuration);
  const { host, port } = configuration.config.server;
  const door = await openHttp(app, operations, { host, port, limits });
  const keys = new Map<Role, string>();
  return {
    ...door,
    app,
    as: async (role) => {
      const own = { host: `127.0.0.1:${door.port}` };
      if (role === null) return own;
      const key =
        keys.get(role) ?? (await app.access.keys.create(localPrincipal, { name: role, role })).key;
      keys.set(role, key);
      return { ...own, authorization: `Bearer ${key}` };
    },
    close: async () => {
      await door.close();
      await app.close();
      await rm(home, { recursive: true });
    },
  };
}
