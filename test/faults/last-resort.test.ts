import { afterAll, expect, test } from "vitest";
import { closeWorkplaces, inspect, openWorkplace } from "./start-server.ts";

afterAll(closeWorkplaces);

const faults: Readonly<Record<string, string>> = {
  "an error thrown outside of every request": "setImmediate(() => { throw new Error('planted') })",
  "a promise that nobody waits for": "void Promise.reject(new Error('planted'))",
};

test.skipIf(process.platform === "win32").each(Object.entries(faults))(
  "%s is kept in the ledger, and the server ends in good order, failed",
  { timeout: 60_000 },
  async (_what, fault) => {
    const workplace = await openWorkplace();
    const code = encodeURIComponent(`process.on("SIGUSR2", () => { ${fault}; })`);
    const server = await workplace.serve({
      NODE_OPTIONS: `--import=data:text/javascript,${code}`,
    });
    const made = await server.ask("POST", "/collections", { name: "kept" });
    expect(made.status).toBe(201);
    server.child.kill("SIGUSR2");
    const { code: exit, stderr } = await server.ended;
    expect(exit).toBe(1);
    const [, entry] = /is in the ledger as (led_\w+)/.exec(stderr) ?? [];
    const store = inspect(workplace.home);
    expect(store.all(`select code, unexpected from ledger_entries where id = '${entry}'`)).toEqual([
      { code: "defect", unexpected: 1 },
    ]);
    // The run ended as one does: the next start finds nothing to mend, and what was acknowledged is there.
    expect(store.count("runs where ended_at is null")).toBe(0);
    expect(store.count("collections where name = 'kept'")).toBe(1);
    store.close();
  },
);
