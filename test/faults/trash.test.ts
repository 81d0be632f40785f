import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { writeFiles } from "../cli/run-candor.ts";
import { closeWorkplaces, inspect, openWorkplace, type Server, sync } from "./start-server.ts";

const environment = {
  CANDOR_MODELS_STATIC: fileURLToPath(new URL("../fixtures/static-16", import.meta.url)),
};

afterEach(closeWorkplaces);

/** How often a delete and a restore are killed, at moments spread over the time that each was seen to take. */
const rounds = 3;
const files = 40;
const query = "/search";
const asked = { query: "water of file7", collections: ["big"], limit: 20 };

/** Every row of a collection's content and all vectors, whatever state the collection is in. */
function rowsOf(home: string) {
  const database = inspect(home);
  try {
    expect(database.all("pragma integrity_check")).toEqual([{ integrity_check: "ok" }]);
    expect(database.all("pragma foreign_key_check")).toEqual([]);
    const order = { documents: "id", document_texts: "document_id", chunks: "row" };
    return {
      ...Object.fromEntries(
        Object.entries(order).map(([table, by]) => [
          table,
          database.all(`select * from ${table} order by ${by}`),
        ]),
      ),
      vectors: database.all("select chunk_key, hex(vector) as vector from vectors order by 1"),
      trash: database.all("select id, kind, purging from trash_entries"),
    };
  } finally {
    database.close();
  }
}

/** Sends a request and kills the server a moment later, whatever became of it. */
async function killDuring(
  server: Server,
  moment: number,
  method: string,
  path: string,
  body?: object,
) {
  const answer = server.ask(method, path, body).then(
    ({ status }) => status,
    // The connection ended with the server: nothing was answered.
    (thrown: unknown) =>
      thrown instanceof Error ? null : Promise.reject(new TypeError("no error")),
  );
  await delay(moment);
  await server.kill();
  return answer;
}

type Whole = { hits: unknown; counts: { documents: number; chunks: number; bytes: number } };
type Listed = { items: { id: string }[] };

/** Where the collection is: in sight with all it had, or in the trash with all it had, and never in both or half. */
async function placeOf(server: Server, whole: Whole) {
  const [shown, found, trash] = await Promise.all([
    server.ask("GET", "/collections/big"),
    server.ask("POST", query, asked),
    server.ask("GET", "/trash"),
  ]);
  const entries = (trash.body as Listed).items;
  if (shown.status === 200) {
    expect(shown.body["counts"]).toEqual(whole.counts);
    expect(found.body["items"]).toEqual(whole.hits);
    expect(entries).toEqual([]);
    return { place: "sight", entry: "" } as const;
  }
  expect([shown.status, found.status]).toEqual([404, 404]);
  const { documents, chunks, bytes } = whole.counts;
  expect(entries).toMatchObject([
    { kind: "collection", name: "big", counts: { documents, chunks, bytes } },
  ]);
  return { place: "trash", entry: entries[0]?.id ?? "" } as const;
}

test(
  "kill -9 while a collection is deleted, restored and removed for good leaves it whole in one place, or nowhere",
  { timeout: 240_000 },
  async () => {
    const workplace = await openWorkplace();
    const folder = join(workplace.folder, "texts");
    const paragraph = (file: number, part: number) =>
      `Part ${part} of file${file} is about water.\n\n`;
    await writeFiles(
      folder,
      Object.fromEntries(
        Array.from({ length: files }, (_, file) => [
          `${file}.md`,
          Array.from({ length: 60 }, (_unused, part) => paragraph(file, part)).join(""),
        ]),
      ),
    );
    let server = await workplace.serve(environment);
    await server.ask("POST", "/collections", { name: "big" });
    expect(await sync(server, "big", folder)).toMatchObject({ state: "succeeded" });
    const whole: Whole = {
      hits: (await server.ask("POST", query, asked)).body["items"],
      counts: (await server.ask("GET", "/collections/big")).body["counts"] as Whole["counts"],
    };
    expect(whole.counts.chunks).toBeGreaterThan(1000);
    const { trash: _none, ...content } = rowsOf(workplace.home);

    const timed = async (method: string, path: string) => {
      const began = performance.now();
      await server.ask(method, path, method === "POST" ? {} : undefined);
      return performance.now() - began;
    };
    const deleting = await timed("DELETE", "/collections/big");
    const restoring = await timed("POST", `/trash/${(await placeOf(server, whole)).entry}/restore`);
    const moment = (round: number, takes: number) => ((round + 0.75) / rounds) * takes;

    for (let round = 0; round < rounds; round += 1) {
      let status = await killDuring(server, moment(round, deleting), "DELETE", "/collections/big");
      expect(rowsOf(workplace.home)).toMatchObject(content);
      server = await workplace.serve(environment);
      let now = await placeOf(server, whole);
      // What was answered is so.
      if (status === 200) expect(now.place).toBe("trash");
      if (now.place === "sight") await server.ask("DELETE", "/collections/big");
      now = await placeOf(server, whole);
      expect(now.place).toBe("trash");

      const path = `/trash/${now.entry}/restore`;
      status = await killDuring(server, moment(round, restoring), "POST", path, {});
      expect(rowsOf(workplace.home)).toMatchObject(content);
      server = await workplace.serve(environment);
      now = await placeOf(server, whole);
      if (status === 200) expect(now.place).toBe("sight");
      if (now.place === "trash")
        expect((await server.ask("POST", `/trash/${now.entry}/restore`, {})).status).toBe(200);
      expect((await placeOf(server, whole)).place).toBe("sight");
    }

    // Removed in steps: killed among them, it is gone for everybody, and the next start takes the rest away.
    await server.ask("DELETE", "/collections/big");
    const { entry } = await placeOf(server, whole);
    const emptied = server.ask("POST", "/trash/empty", { trash: entry }).then(
      () => "answered",
      (thrown: unknown) => String(thrown),
    );
    await expect
      .poll(() => rowsOf(workplace.home).trash[0]?.["purging"], { interval: 2, timeout: 60_000 })
      .toBe(1);
    await server.kill();
    expect(await emptied).not.toBe("answered");
    const left = rowsOf(workplace.home);
    expect(left.trash).toMatchObject([{ id: entry, purging: 1 }]);
    server = await workplace.serve(environment);
    expect((await server.ask("GET", "/trash")).body["items"]).toEqual([]);
    expect(await server.ask("POST", `/trash/${entry}/restore`, {})).toMatchObject({ status: 404 });
    await expect.poll(() => rowsOf(workplace.home).trash, { timeout: 60_000 }).toEqual([]);
    expect(rowsOf(workplace.home)).toEqual({
      documents: [],
      document_texts: [],
      chunks: [],
      vectors: [],
      trash: [],
    });
    const database = inspect(workplace.home);
    expect(database.all("select name from sqlite_schema where name like 'words_%'")).toEqual([]);
    database.close();
  },
);
