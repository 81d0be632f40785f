import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { writeFiles } from "../cli/run-candor.ts";
import { type Collector, openCollector } from "../telemetry/collector.ts";
import { makeSecrets, random, toldAs } from "./canaries.ts";
import {
  closeWorkplaces,
  openWorkplace,
  type Server,
  sync,
  type Workplace,
} from "./start-server.ts";

let secrets = makeSecrets();
const told = () => toldAs(secrets);

/** Secrets of the server's own environment: two that it reads and one that it does not. */
const own = { signing: random(48), collector: random(40), unread: random(40) };
const environment = {
  CANDOR_MODELS_STATIC: fileURLToPath(new URL("../fixtures/static-16", import.meta.url)),
  SECRET_KEY: own.signing,
  LOG_LEVEL: "trace",
  HF_TOKEN: own.unread,
  CANDOR_TELEMETRY_HEADERS: `authorization=Bearer%20${own.collector}`,
  CANDOR_LOGGING_FILE_MEGABYTES: "1",
  CANDOR_SECURITY_FAILURES_PER_MINUTE_PER_ADDRESS: "10000",
};

let workplace: Workplace;
let server: Server;
let collector: Collector;

/** Every secret of every test: none of them may be in a trace, and those that are no content in no file at all. */
const ever = new Set<string>(Object.values(own));

async function serve(format: "json" | "text"): Promise<void> {
  workplace = await openWorkplace();
  server = await workplace.serve({
    ...environment,
    CANDOR_LOGGING_FORMAT: format,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  });
  await server.ask("POST", "/collections", { name: "notes" });
}

beforeAll(async () => {
  collector = await openCollector();
});
afterAll(async () => {
  await closeWorkplaces();
  await collector.close();
});

/** What was shown to anybody since the test began. */
let shown: [where: string, text: string][] = [];
beforeEach(() => {
  secrets = makeSecrets();
  for (const secret of Object.values(secrets)) ever.add(secret);
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
    "/audit?limit=100",
    "/activity?limit=100",
    "/keys?limit=100",
    "/users?limit=100",
    "/system/metrics",
  ])
    expect((await ask("GET", path)).status, path).toBe(200);
  const headers = { authorization: `Bearer ${server.key}` };
  for (const path of ["/metrics", "/health"]) {
    const answer = await fetch(`${server.url}${path}`, { headers });
    shown.push([path, await answer.text()]);
  }
  const { stdout, stderr } = server.written();
  shown.push(["server", stdout + stderr]);
  for (const part of ["logs", "artifacts", "run"]) {
    const folder = join(workplace.home, part);
    for (const name of readdirSync(folder))
      shown.push([`${part}/${name}`, readFileSync(join(folder, name), "latin1")]);
  }
  return leaksOf({ ...secrets, ...own });
}

function leaksOf(kept: Readonly<Record<string, string>>): string[] {
  return Object.entries(kept).flatMap(([name, secret]) =>
    shown
      .filter(([, text]) => text.includes(secret))
      .map(([where, text]) => {
        const at = text.indexOf(secret);
        return `${name} in ${where.slice(0, 60)}: ${text.slice(Math.max(0, at - 60), at + 8)}`;
      }),
  );
}

/** The bytes of the database with its log, of every earlier copy, and of what the process writes beside it. */
function readStore(): void {
  for (const entry of readdirSync(workplace.home, { recursive: true, withFileTypes: true }))
    if (entry.isFile() && entry.name !== "server.json")
      shown.push([entry.name, readFileSync(join(entry.parentPath, entry.name), "latin1")]);
}

describe.each(["json", "text"] as const)(
  "a caller's secret is kept nowhere (log: %s)",
  (format) => {
    beforeAll(() => serve(format));
    // What becomes of contents and commands does not depend on the form of the log.
    const contents = test.runIf(format === "json");

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
        // As some programs send it, valid and not: in the address, where no key is looked for.
        const bearer = encodeURIComponent(secret);
        for (const query of [`access_token=${bearer}`, `bearer=${bearer}`, bearer])
          await ask("GET", `/collections?${query}`);
        // A value that is refused, named in an answer of another kind.
        await ask("GET", "/collections", undefined, { headers: { origin: `https://${bearer}` } });
      }
      readStore();
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
      readStore();
      expect(await findLeaks()).toEqual([]);
    });

    test("among credentials that work, but as a hash", async () => {
      const password = `${random(20)}-1`;
      const asked = async (path: string, body: unknown, headers: Record<string, string> = {}) => {
        const {
          status,
          body: answer,
          headers: told,
        } = await server.ask("POST", path, body, { headers });
        return { status, answer, cookie: told.get("set-cookie") ?? "" };
      };
      await asked("/users", { name: "ada", role: "developer", password });
      const signedIn = await asked("/auth/login", { name: "ada", password });
      const cookie = (await asked("/auth/login", { name: "ada", password, as: "cookie" })).cookie;
      const wrong = `${password}x`;
      await asked("/auth/login", { name: "ada", password: wrong });
      await asked("/auth/login", { name: password, password });
      await asked("/auth/login", { name: "ada", password, [password]: password });
      const { refreshToken, accessToken } = signedIn.answer as Record<string, string>;
      const again = await asked("/auth/refresh", { refreshToken });
      const reused = await asked("/auth/refresh", { refreshToken });
      expect([signedIn.status, again.status, reused.status]).toEqual([200, 200, 401]);
      const made = await asked("/keys", { name: "k" }, { "idempotency-key": "once" });
      const { signInUrl } = JSON.parse(server.written().stdout.split("\n")[0] ?? "") as Record<
        string,
        string
      >;
      const token = signInUrl?.split("=").at(-1) ?? "";
      const linked = await asked("/auth/signin", { token });
      await asked("/auth/signin", { token });
      const live: Record<string, string> = {
        password,
        wrong,
        accessToken: accessToken ?? "",
        refreshToken: refreshToken ?? "",
        nextAccessToken: String(again.answer["accessToken"]),
        nextRefreshToken: String(again.answer["refreshToken"]),
        key: String(made.answer["key"]),
        cookie: /=([^;]+)/.exec(cookie)?.[1] ?? "",
        session: /=([^;]+)/.exec(linked.cookie)?.[1] ?? "",
      };
      for (const [name, secret] of Object.entries(live)) {
        expect(secret.length, name).toBeGreaterThan(20);
        ever.add(secret);
        const headers = { authorization: `Bearer ${secret}`, cookie: `candor_session=${secret}` };
        await ask("GET", `/collections?access_token=${encodeURIComponent(secret)}`, undefined, {
          headers,
        });
        // The answer repeats what its caller asked for; nothing keeps it.
        await server.ask("GET", `/collections/${encodeURIComponent(secret)}`);
      }
      readStore();
      await findLeaks();
      expect(leaksOf(live)).toEqual([]);
      // The link stands in the line that shows it, and nowhere else.
      const { stdout, stderr } = server.written();
      shown = shown.map(([where, text]) => [
        where,
        text.replace(stdout, "").replace(signInUrl ?? "", ""),
      ]);
      shown.push(["standard error", stderr]);
      expect(leaksOf({ token })).toEqual([]);
    });

    test("in files of the log that were put aside", async () => {
      const given = [secrets.hub, `password=${secrets.assigned}`];
      const putAside = () => readdirSync(join(workplace.home, "logs")).includes("candor.log.1");
      for (let n = 0; n < 2000 && !putAside(); n += 20)
        await Promise.all(
          Array.from({ length: 20 }, (_, at) => {
            const path = `/nowhere/${n + at}/${given[at % 2]}/${"long/".repeat(780)}`;
            return server.ask("POST", "/collections/notes/sync", { path });
          }),
        );
      expect(putAside()).toBe(true);
      expect(await findLeaks()).toEqual([]);
    });

    contents("in texts of documents that fail", async () => {
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
      expect((await ask("POST", path, { documents })).body).toMatchObject({
        failed: told().length,
      });
      expect(await candor(["index", folder, "--collection", "notes"])).toMatchObject({ code: 1 });
      expect(await findLeaks()).toEqual([]);
    });

    contents("in names of files and documents that fail or are left out", async () => {
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

    contents("on the command line and in its environment", async () => {
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

    test("the run's file of the ledger, written at a clean end", async () => {
      await server.ask("GET", `/ledger/${secrets.hub}`);
      await server.ask("POST", "/collections/notes/sync", { path: `/nowhere/${secrets.hub}` });
      await server.stop();
      const folder = join(workplace.home, "artifacts");
      const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
      expect(files.join("")).toContain("file_missing");
      for (const secret of Object.values(secrets)) expect(files.join("")).not.toContain(secret);
    });
  },
);

test("traces hold no secret of any of these requests", () => {
  const sent = collector.requests.map(({ text }) => text).join("\n");
  expect(collector.spans().length).toBeGreaterThan(50);
  expect(collector.requests[0]?.headers.authorization).toBe(`Bearer ${own.collector}`);
  for (const secret of ever) expect(sent).not.toContain(secret);
});
