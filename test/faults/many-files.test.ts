import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { closeWorkplaces, openWorkplace, sync } from "./start-server.ts";

afterEach(closeWorkplaces);

test("ten thousand files are indexed, each one, and found", { timeout: 240_000 }, async () => {
  const workplace = await openWorkplace();
  const folder = join(workplace.folder, "many");
  for (let group = 0; group < 100; group += 1) {
    mkdirSync(join(folder, String(group)), { recursive: true });
    for (let file = 0; file < 100; file += 1)
      writeFileSync(join(folder, String(group), `${file}.txt`), `water g${group}f${file}`);
  }
  const server = await workplace.serve({
    CANDOR_MODELS_STATIC: fileURLToPath(new URL("../fixtures/static-16", import.meta.url)),
  });
  await server.ask("POST", "/collections", { name: "many" });
  const job = await sync(server, "many", folder);
  expect(job).toMatchObject({ state: "succeeded", done: 10_000, failed: 0, skipped: 0 });
  const { body } = await server.ask("GET", "/collections/many");
  expect(body["counts"]).toMatchObject({ documents: 10_000, chunks: 10_000, vectors: 10_000 });
  const query = { query: "g42f17", collections: ["many"], mode: "keyword" };
  const found = await server.ask("POST", "/search", query);
  const [first] = found.body["items"] as unknown[];
  expect(first).toMatchObject({ key: "42/17.txt", ranks: { keyword: 1 } });
});
