import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { errorCatalogue, errorFromCode } from "#base/errors/index.ts";
import { withContext } from "#base/telemetry/index.ts";
import { openRooms, type Rooms } from "../fixtures/rooms/open-rooms.ts";
import { makeSecrets, toldAs } from "./canaries.ts";

const secrets = makeSecrets();
const told = toldAs(secrets);

describe("a thousand faults over all codes of the catalogue", () => {
  async function recordAll(faulty: (rooms: Rooms) => Promise<void>) {
    const folder = mkdtempSync(join(tmpdir(), "candor-faults-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const rooms = await openRooms(folder);
    const codes = [...errorCatalogue.keys()];
    await faulty(rooms);
    const ids = await Promise.all(
      Array.from({ length: 1000 }, (_, n) => {
        const secret = told[n % told.length] ?? "";
        const error = errorFromCode(codes[n % codes.length] ?? "", `fault ${n}: ${secret}`, {
          details: { secret, nested: [{ authorization: secret, text: `x ${secret} y` }] },
          errors: [{ pointer: `/${secret}`, message: secret }],
          cause: new Error(secret, { cause: new TypeError(secret) }),
        });
        return withContext({ requestId: `request-${n}` }, () =>
          rooms.ledger.record(error, {
            item: secret,
            endpoint: `/x?${secret}`,
            facts: { [secret]: secret },
          }),
        );
      }),
    );
    expect(new Set(ids).size).toBe(1000);
    expect(codes.length).toBeGreaterThan(50);
    return { rooms, ids, folder };
  }

  function leaksIn(folder: string): string[] {
    const shown: [string, string][] = [];
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
      if (entry.isFile())
        shown.push([entry.name, readFileSync(join(entry.parentPath, entry.name), "latin1")]);
    return Object.entries(secrets).flatMap(([name, secret]) =>
      shown.filter(([, text]) => text.includes(secret)).map(([where]) => `${name} in ${where}`),
    );
  }

  test("make a thousand entries and as many log lines, without a secret", async () => {
    const { rooms, ids, folder } = await recordAll(async () => undefined);
    const entries = await rooms.ledger.list({ limit: 2000 });
    expect(entries.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(new Set(entries.map(({ correlationId }) => correlationId)).size).toBe(1000);
    const { made, inMemory, inFile, lost } = rooms.ledger.statistics();
    expect(Object.values(made).reduce((sum, one) => sum + one)).toBe(1000);
    expect([inMemory, inFile, lost]).toEqual([0, 0, 0]);
    await rooms.close();
    const log = readFileSync(join(rooms.home.logs, "candor.log"), "utf8");
    expect(log.split("\n").filter((line) => /"ledgerId":"led_/.test(line))).toHaveLength(1000);
    const [exported = ""] = readdirSync(rooms.home.artifacts);
    const run = JSON.parse(readFileSync(join(rooms.home.artifacts, exported), "utf8")) as {
      errors: unknown[];
    };
    expect(run.errors).toHaveLength(1000);
    expect(leaksIn(folder)).toEqual([]);
  });

  test("go to the file beside a database that takes none, without a secret", async () => {
    const { rooms, ids, folder } = await recordAll(({ database }) => database.close());
    expect(rooms.ledger.statistics()).toMatchObject({ inMemory: 0, inFile: 1000, lost: 0 });
    const name = readdirSync(rooms.home.artifacts).find((file) => file.endsWith(".ndjson")) ?? "";
    const waiting = readFileSync(join(rooms.home.artifacts, name), "utf8").trim().split(/\n+/);
    expect(waiting.map((line) => (JSON.parse(line) as { id: string }).id).toSorted()).toEqual(
      ids.toSorted(),
    );
    expect(leaksIn(folder)).toEqual([]);
    rooms.metrics.close();
    rooms.logger.close();
  });
});
