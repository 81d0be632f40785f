import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import {
  closeWorkplaces,
  countContent,
  entryOf,
  openWorkplace,
  type Reply,
  type Server,
  type Workplace,
} from "./start-server.ts";

afterEach(closeWorkplaces);

const megabyte = 1_000_000;
const words = ((): string => {
  let text = "";
  for (let line = 0; text.length < 9.5 * megabyte; line += 1)
    text += `The ${((line * 7919) % 99_991).toString(36)} water ${line} and fire.\n\n`;
  return text;
})();

/** Documents just under the size limit that cost far more than their size to read. */
const bombs: Readonly<Record<string, string>> = {
  "words.md": words,
  "deep.json": "[".repeat(4.9 * megabyte) + "]".repeat(4.9 * megabyte),
  "line.txt": "a".repeat(9.8 * megabyte),
  "line.js": "var a = 1;".repeat(980_000),
  "nested.html": "<div>".repeat(1_900_000),
  "columns.csv": "a,".repeat(4.9 * megabyte),
  "line.jsonl": `{"a": "${"b".repeat(9.7 * megabyte)}"}\n`,
  "quotes.md": `${"> ".repeat(2000)}water\n\n`.repeat(2400),
};

const limit = 512 * 1024 * 1024;

/** Puts the server into a memory cgroup of 512 MB; null where this user may not make one. */
function limitMemory(workplace: Workplace, server: Server): string | null {
  const place = [
    { parent: "/sys/fs/cgroup/memory", bytes: "memory.limit_in_bytes" },
    { parent: "/sys/fs/cgroup", bytes: "memory.max" },
  ].find(
    ({ parent, bytes }) =>
      existsSync(join(parent, bytes)) || existsSync(join(parent, "cgroup.controllers")),
  );
  if (place === undefined || process.getuid?.() !== 0) return null;
  const group = join(place.parent, `candor-memory-${process.pid}`);
  mkdirSync(group);
  if (!existsSync(join(group, place.bytes))) {
    rmdirSync(group);
    return null;
  }
  workplace.atEnd(() => rmdirSync(group));
  writeFileSync(join(group, place.bytes), String(limit));
  writeFileSync(join(group, "cgroup.procs"), String(server.child.pid));
  expect(readFileSync(join(group, "cgroup.procs"), "utf8").trim()).toBe(String(server.child.pid));
  return group;
}

function add(server: Server, name: string, content: string): Promise<Reply> {
  const form = new FormData();
  form.set("file", new Blob([content]), name);
  return server.ask("POST", "/collections/notes/documents", undefined, { form });
}

test(
  "eight documents at once that would fill the memory are each answered by a code; the server lives and answers meanwhile",
  { timeout: 120_000 },
  async () => {
    const workplace = await openWorkplace();
    const server = await workplace.serve({
      CANDOR_MODELS_STATIC: fileURLToPath(new URL("../fixtures/static-16", import.meta.url)),
      CANDOR_PERFORMANCE_WORKER_MEGABYTES: "64",
      CANDOR_PERFORMANCE_WORKER_TIMEOUT_SECONDS: "15",
    });
    if (limitMemory(workplace, server) === null)
      console.log("without a limit of 512 MB: that needs root and a memory cgroup");
    await server.ask("POST", "/collections", { name: "notes" });
    const waiting = new Map(
      Object.entries(bombs).map(([name, content]) => [name, add(server, name, content)]),
    );
    const answers = new Map<string, Reply>();
    const unanswered: unknown[] = [];
    for (const [name, answer] of waiting)
      answer.then(
        (reply) => answers.set(name, reply),
        (thrown: unknown) => unanswered.push(thrown),
      );
    let health = 0;
    while (answers.size + unanswered.length < waiting.size) {
      const { body } = await server.ask("GET", "/../../health");
      expect(body["checks"]).toContainEqual(
        expect.objectContaining({ name: "database", state: "ok" }),
      );
      health += 1;
      await delay(20);
    }
    expect(unanswered).toEqual([]);
    console.log(
      [...answers]
        .map(([name, { status, body }]) => `${name}: ${status} ${String(body["code"])}`)
        .join("\n"),
      `\n${health} answers of health meanwhile`,
    );
    expect(health).toBeGreaterThanOrEqual(5);
    // More words than fit into a thread: whatever became of the others, this one met its limit.
    expect(answers.get("words.md")).toMatchObject({ status: 503, body: { code: "out_of_memory" } });
    const kept = [...answers.values()].filter(({ status }) => status === 201).length;
    for (const [name, { status, body }] of answers) {
      if (status === 201) continue;
      expect([name, body["code"]]).toEqual([name, expect.stringMatching(/^[a-z_]+$/)]);
      expect([name, body["code"]]).not.toEqual([name, "defect"]);
      if (status >= 500)
        expect(await entryOf(server, body["instance"])).toMatchObject({ code: body["code"] });
    }
    expect(await add(server, "small.md", "Water.")).toMatchObject({ status: 201 });
    expect(countContent(workplace.home)).toMatchObject({ documents: kept + 1 });
    expect(server.child.exitCode).toBeNull();
    await server.stop();
  },
);
