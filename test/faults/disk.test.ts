import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, openSync, rmSync, writeSync, closeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { closeWorkplaces, openWorkplace, inspect, sync } from "./start-server.ts";
import { writeFiles } from "../cli/run-candor.ts";

const model = fileURLToPath(new URL("../fixtures/static-16", import.meta.url));
const mounts: string[] = [];
afterEach(async () => {
  await closeWorkplaces();
});
function fill(path: string) {
  const file = openSync(path, "w");
  let n = 0;
  for (let size = 1 << 20; size >= 1; size >>= 1) for (;;) { try { n += writeSync(file, Buffer.alloc(size)); } catch { break; } }
  closeSync(file);
  return n;
}
test("x", { timeout: 60000 }, async () => {
  const w = await openWorkplace();
  const home = join(w.folder, "small"); mkdirSync(home);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", home]); mounts.push(home);
  try {
  const server = await w.serve({ CANDOR_HOME: home, CANDOR_MODELS_STATIC: model });
  console.log((await server.ask("POST", "/collections", { name: "notes" })).status);
  const folder = join(w.folder, "texts");
  await writeFiles(folder, Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`${n}.md`, `Water ${n}`])));
  console.log((await sync(server, "notes", folder)).state);
  console.log(fill(join(home, "filler")));
  for (let n = 0; n < 3; n++) {
    for (const [m, p, b] of [["POST", "/collections", { name: "more" + n }], ["POST", "/collections/notes/documents", { key: "d" + n, content: "moon " + n }], ["POST", "/search", { query: "water", collections: ["notes"] }], ["POST", "/embeddings", { kind: "query", inputs: ["[PAD]"] }], ["GET", "/../../health", undefined], ["GET", "/collections", undefined], ["POST", "/keys", { name: "k", role: "read_only" }], ["POST", "/collections/notes/sync", { path: folder }]] as const) {
      const a = await server.ask(m, p, b);
      console.log(m, p, a.status, JSON.stringify(a.body["checks"] ? (a.body["checks"] as any[]).filter((c) => c.state !== "ok") : a.body).slice(0, 500));
    }
  }
  rmSync(join(home, "filler"));
  for (const [m, p, b] of [["POST", "/collections", { name: "after" }], ["POST", "/collections/notes/documents", { key: "after", content: "moon after" }], ["GET", "/../../health", undefined], ["GET", "/jobs", undefined]] as const) {
      const a = await server.ask(m, p, b);
      console.log(m, p, a.status, JSON.stringify(a.body["checks"] ? (a.body["checks"] as any[]).filter((c) => c.state !== "ok") : a.body).slice(0, 500));
    }
  console.log(server.written().stderr.slice(-3000));
  await server.stop();
  } finally { await closeWorkplaces().catch(() => {}); execFileSync("umount", ["-l", home]); }
});
