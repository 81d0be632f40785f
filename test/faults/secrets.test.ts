import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { writeFiles } from "../cli/run-candor.ts";
import {
  closeWorkplaces,
  openWorkplace,
  type Server,
  sync,
  type Workplace,
} from "./start-server.ts";

const random = (length: number) =>
  randomBytes(length)
    .toString("base64")
    .replaceAll(/[^A-Za-z]/g, "x")
    .slice(0, length);

/** A secret of each kind, new for each test, so that wherever it is found it leaked there. */
const makeSecrets = () => ({
  candor: `candor_${random(40)}`,
  hub: `hf_${random(34)}`,
  provider: `sk-${random(32)}`,
  host: `ghp_${random(36)}`,
  store: `AKIA${random(16).toUpperCase()}`,
  token: `eyJ${random(20)}.${random(30)}.${random(30)}`,
  address: random(24),
  assigned: random(24),
});
let secrets = makeSecrets();

/** As they stand in texts, names and headers; the last two are secrets by what stands around them. */
const told = () => [
  secrets.candor,
  secrets.hub,
  secrets.provider,
  secrets.host,
  secrets.store,
  secrets.token,
  `postgres://user:${secrets.address}@db.example/x`,
  `password=${secrets.assigned}`,
];

/** Secrets of the server's own environment, one that it reads and one that it does not. */
const own = { signing: random(48), unread: random(40) };
const environment = {
  CANDOR_MODELS_STATIC: fileURLToPath(new URL("../fixtures/static-16", import.meta.url)),
  SECRET_KEY: own.signing,
  LOG_LEVEL: "trace",
  HF_TOKEN: own.unread,
};

let workplace: Workplace;
let server: Server;

beforeAll(async () => {
  workplace = await openWorkplace();
  server = await workplace.serve(environment);
  await server.ask("POST", "/collections", { name: "notes" });
});
afterAll(closeWorkplaces);

/** What was shown to anybody since the test began. */
let shown: [where: string, text: string][] = [];
beforeEach(() => {
  secrets = makeSecrets();
  shown = [];
});

async function ask(...words: Parameters<Server["ask"]>) {
  const answer = await server.ask(...words);
  shown.push([`${words[0]} ${words[1]}`, JSON.stringify(answer.body)]);
  return answer;
}

async function candor(...words: Parameters<Workplace["candor"]>) {
  const ended = await workplace.candor(...words);
  shown.push([`candor ${words[0].join(" ")}`, ended.stdout + ended.stderr]);
  return ended;
}

/** Where secrets are found among what was shown, and what is kept in the ledger, in logs, artifacts and run files. */
async function findLeaks(): Promise<string[]> {
  for (const path of [
    "/ledger?limit=100",
    "/ledger/groups?limit=100",
    "/ledger/export",
    "/ledger/export?format=text",
    "/jobs?limit=100",
    "/settings",
  ])
    await ask("GET", path);
  const { stdout, stderr } = server.written();
  shown.push(["server", stdout + stderr]);
  for (const part of ["logs", "artifacts", "run"]) {
    const folder = join(workplace.home, part);
    for (const name of readdirSync(folder))
      shown.push([`${part}/${name}`, readFileSync(join(folder, name), "latin1")]);
  }
  return Object.entries({ ...secrets, ...own }).flatMap(([name, secret]) =>
    shown
      .filter(([, text]) => text.includes(secret))
      .map(([where, text]) => {
        const at = text.indexOf(secret);
        return `${name} in ${where.slice(0, 60)}: ${text.slice(Math.max(0, at - 60), at + 8)}`;
      }),
  );
}

describe("a caller's secret is shown and kept nowhere", () => {
  test("in headers", async () => {
    for (const secret of told()) {
      const headers = {
        "user-agent": secret,
        referer: `http://127.0.0.1/?${secret}`,
        cookie: `candor_session=${secret}`,
        "x-api-key": secret,
        "x-request-id": secret,
      };
      await ask("GET", "/collections/none", undefined, { headers });
      const authorization = `Bearer ${secret}`;
      const wrong = await ask("GET", "/collections", undefined, { headers: { authorization } });
      expect(wrong.status).toBe(401);
    }
    expect(await findLeaks()).toEqual([]);
  });

  test("in addresses and bodies that are refused", async () => {
    for (const secret of told()) {
      const part = encodeURIComponent(secret);
      for (const address of [
        `/collections/${part}`,
        `/collections?cursor=${part}`,
        `/collections?${part}=1`,
        `/nowhere/${part}`,
        `/ledger/${part}`,
        `/jobs/${part}`,
      ])
        expect((await ask("GET", address)).status).toBeGreaterThanOrEqual(400);
      const documents = "/collections/notes/documents";
      for (const [address, body] of [
        ["/collections", { name: secret }],
        ["/collections", { [secret]: 1 }],
        ["/search", { query: "water", collections: [secret] }],
        ["/embeddings", { kind: secret, inputs: ["a"] }],
        ["/collections/notes/sync", { path: `/nowhere/${secret}` }],
        [documents, { content: `{"a": ${secret}`, mediaType: "application/json" }],
        [documents, { content: `a,b\n1,"${secret}`, mediaType: "text/csv" }],
        [documents, { content: "x", mediaType: `application/${secret}` }],
      ] as const)
        expect((await ask("POST", address, body)).status).toBeGreaterThanOrEqual(400);
      const malformed = await fetch(`${server.url}/api/v1/search`, {
        method: "POST",
        headers: { authorization: `Bearer ${server.key}`, "content-type": "application/json" },
        body: `{"query": ${secret}`,
      });
      expect(malformed.status).toBe(400);
      shown.push(["malformed body", await malformed.text()]);
    }
    expect(await findLeaks()).toEqual([]);
  });

  test("in texts of documents that fail", async () => {
    const folder = join(workplace.folder, "texts");
    await writeFiles(
      folder,
      Object.fromEntries(told().map((secret, index) => [`${index}.json`, `{"a": ${secret}`])),
    );
    const job = await sync(server, "notes", folder);
    expect(job).toMatchObject({ state: "failed", failed: told().length });
    await ask("GET", `/jobs/${job.id}/items?limit=100`);
    const documents = told().map((secret, index) => ({
      key: `${index}`,
      content: `{"a": ${secret}`,
      mediaType: "application/json",
      title: secret,
      metadata: { password: secret },
    }));
    const path = "/collections/notes/documents/batch?wait=true";
    expect((await ask("POST", path, { documents })).body).toMatchObject({ failed: told().length });
    expect(await candor(["index", folder, "--collection", "notes"])).toMatchObject({ code: 1 });
    expect(await findLeaks()).toEqual([]);
  });

  test("in names of files and documents that fail or are left out", async () => {
    const folder = join(workplace.folder, "names");
    // A slash would part the name, and with it the secret.
    const names = told().filter((secret) => !secret.includes("/"));
    await writeFiles(
      folder,
      Object.fromEntries(
        names.flatMap((name) => [
          [`bad ${name}/a.json`, "{"],
          [`empty ${name}.md`, ""],
        ]),
      ),
    );
    const job = await sync(server, "notes", folder);
    expect(job).toMatchObject({ failed: names.length, skipped: names.length });
    await ask("GET", `/jobs/${job.id}/items?limit=100`);
    const documents = names.map((name) => ({ key: name, content: "[PAD]" }));
    await ask("POST", "/collections/notes/documents/batch?wait=true", { documents });
    expect(await candor(["index", folder, "--collection", "notes"])).toMatchObject({ code: 1 });
    expect(await findLeaks()).toEqual([]);
  });

  test("on the command line and in its environment", async () => {
    for (const secret of [secrets.hub, `password=${secrets.assigned}`])
      await candor(["search", "water", "--collection", secret]);
    await candor(["config", "--json"], environment);
    const other = {
      ...environment,
      CANDOR_HOME: join(workplace.folder, "other"),
      DATABASE_URL: `postgres://user:${secrets.address}@db.example/x`,
    };
    expect(await candor(["config", "check"], other)).toMatchObject({ code: 1 });
    expect(await candor(["serve", "--port", "0"], other)).toMatchObject({ code: 2 });
    expect(await findLeaks()).toEqual([]);
  });
});

test("the run's file of the ledger holds none, written at a clean end", async () => {
  await server.ask("GET", `/ledger/${secrets.hub}`);
  await server.ask("POST", "/collections/notes/sync", { path: `/nowhere/${secrets.hub}` });
  await server.stop();
  const folder = join(workplace.home, "artifacts");
  const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  expect(files.join("")).toContain("file_missing");
  for (const secret of Object.values(secrets)) expect(files.join("")).not.toContain(secret);
});
