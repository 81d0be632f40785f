import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Database, openSqlite } from "#base/database/index.ts";
import { alternate, type Measured, secondsOf, toRow } from "./measurement.ts";
import type { Bench } from "./open-bench.ts";

/** Callers that write at the same time, each the next row when the one before is durable. */
const clients = 64;

const method =
  "One row of 4 columns per write through `database.write`, answered after COMMIT with `synchronous=FULL`: by 64 callers at the same time " +
  "(their writes share transactions) and by one caller alone. Beside it node:sqlite with a prepared insert and one commit per row, " +
  "also FULL, into a table of the same shape on the same disk. Best of five, alternating.";

/** Acknowledged writes per second: grouped, single, and one commit per row without Candor. */
export async function durableWrites(bench: Bench): Promise<Measured> {
  const folder = bench.temporaryFolder("writes");
  const database = await openSqlite({
    path: join(folder, "candor.sqlite"),
    backups: join(folder, "backups"),
    onFault: (error) => {
      throw error;
    },
  });
  const bare = openBare(join(folder, "bare.sqlite"));
  try {
    const grouped = bench.size(20_000, 2000);
    const single = bench.size(2000, 200);
    const best = await alternate(bench.size(5, 2), "more", {
      grouped: async (round) =>
        grouped / (await secondsOf(() => writeRows(database, `g${round}`, grouped, clients))),
      single: async (round) =>
        single / (await secondsOf(() => writeRows(database, `s${round}`, single, 1))),
      bare: async (round) => single / (await secondsOf(() => bare.write(`b${round}`, single))),
    });
    const baseline = { name: "node:sqlite, one commit per row", figure: best.bare };
    return {
      method,
      rows: [
        toRow(
          { name: "Durable writes, 64 callers", figure: best.grouped, unit: "writes/s" },
          baseline,
          { words: "≥ 10,000/s", met: best.grouped >= 10_000 },
        ),
        toRow(
          { name: "Durable writes, one caller", figure: best.single, unit: "writes/s" },
          baseline,
        ),
      ],
    };
  } finally {
    bare.close();
    await database.close();
  }
}

async function writeRows(
  database: Database,
  name: string,
  count: number,
  callers: number,
): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < count) {
      const row = next;
      next += 1;
      await database.write(({ tables }) =>
        tables
          .insertInto("sessions")
          .values({
            hash: `${name}-${row}`,
            principal_id: "local",
            created_at: row,
            expires_at: row,
          })
          .execute(),
      );
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

function openBare(path: string): { write(name: string, count: number): void; close(): void } {
  const connection = new DatabaseSync(path);
  connection.exec(`pragma journal_mode = wal; pragma synchronous = full;
    create table sessions (hash text primary key, principal_id text not null, created_at integer not null,
      expires_at integer not null) strict, without rowid`);
  const insert = connection.prepare("insert into sessions values (?, ?, ?, ?)");
  return {
    write: (name, count) => {
      for (let row = 0; row < count; row += 1) insert.run(`${name}-${row}`, "local", row, row);
    },
    close: () => connection.close(),
  };
}
