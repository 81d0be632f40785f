import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localPrincipal, type Role, roles } from "#base/access/index.ts";
import { loadConfiguration } from "#base/config/index.ts";
import { openApp } from "#app";
import { openHttp } from "#doors/http/index.ts";
import { operations, type Operation } from "#operations/index.ts";
import { type ApiDocument, operationsOf, toBytes } from "./generate-requests.ts";
import { KnownValues } from "./known-values.ts";
import { type RawAnswer, sendRawRequest } from "./send-raw-request.ts";

/** Headers by which one caller is known. */
export type Credentials = readonly (readonly [name: string, value: string])[];

export type FuzzedDoor = {
  readonly port: number;
  readonly host: string;
  /** The data directory and what lies beside it. */
  readonly home: string;
  /** The description that the server gives of itself. */
  readonly document: ApiDocument;
  readonly known: KnownValues;
  /** Puts back what requests may have taken away, and gives the callers: nobody, forged ones, every role, a user signed in. */
  renew(): Promise<Credentials[]>;
  /** One request as a superadmin. */
  ask(method: string, path: string, body?: Record<string, unknown>): Promise<RawAnswer>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** A real server over its rooms, with limits that a fuzzer does not meet; flags, so that no request changes them. */
export async function openFuzzedDoor(
  table: readonly Operation[] = operations,
): Promise<FuzzedDoor> {
  const home = await mkdtemp(join(tmpdir(), "candor-fuzz-"));
  const root = join(home, "root");
  await mkdir(root);
  await writeFile(join(root, "notes.md"), notes);
  const configuration = loadConfiguration({
    flags: {
      "storage.home": join(home, "data"),
      "storage.roots": [root],
      "server.port": 0,
      "logging.console": false,
      "logging.file": false,
      "security.requestsPerMinute": 100_000_000,
      "security.requestsPerMinutePerAddress": 1_000_000,
      "security.failuresPerMinutePerAddress": 10_000,
    },
    environment: {},
    workingDirectory: home,
  });
  const app = await openApp(configuration);
  const { host: address, port: wanted } = configuration.config.server;
  const door = await openHttp(app, table, { host: address, port: wanted });
  const { port } = door;
  const host = `127.0.0.1:${port}`;
  const known = new KnownValues();
  known.add("path", root);
  known.add("password", password);

  const keys = new Map<Role, string>();
  const send = async (
    method: string,
    path: string,
    credentials: Credentials,
    body?: Record<string, unknown>,
  ) => {
    const draft = { method, path, query: [], headers: [], body: body ? { fields: body } : null };
    const answer = await sendRawRequest(port, toBytes(draft, host, credentials));
    if (answer === null) throw new Error(`${method} ${path} got no answer`);
    return answer;
  };
  const makeKey = async (role: Role) => {
    const made = await app.access.keys.create(localPrincipal, { name: `fuzz ${role}`, role });
    known.avoid(made.id);
    keys.set(role, made.key);
  };
  for (const role of roles) await makeKey(role);
  const bearer = (token: string | undefined): Credentials => [["authorization", `Bearer ${token}`]];
  const ask: FuzzedDoor["ask"] = (method, path, body) =>
    send(method, path, bearer(keys.get("superadmin")), body);
  const described = await ask("GET", "/api/v1/openapi.json");
  const document = JSON.parse(described.body) as ApiDocument;
  return {
    port,
    host,
    home,
    document,
    known,
    ask,
    renew: async () => {
      for (const [role, key] of keys) {
        const { status } = await send("GET", "/api/v1/operations", bearer(key));
        if (status !== 200) await makeKey(role);
      }
      await addThings(ask, known);
      return [
        [],
        bearer("candor_nobody"),
        ...[...keys.values()].map(bearer),
        ...(await signIn(document, ask, send)),
        // Most is done by those who may.
        ...Array.from({ length: 8 }, () => bearer(keys.get("superadmin"))),
      ];
    },
    [Symbol.asyncDispose]: async () => {
      await door.close();
      await app.close();
      await rm(home, { recursive: true });
    },
  };
}

const notes = "# Notes\n\nRestore a backup from the newest folder.\n";
const password = "a long enough password, 1";
let count = 0;

/** Something to work on, which requests may have deleted. */
async function addThings(ask: FuzzedDoor["ask"], known: KnownValues): Promise<void> {
  count += 1;
  const name = `notes-${count}`;
  const made = await ask("POST", "/api/v1/collections", { name });
  const added = await ask("POST", `/api/v1/collections/${name}/documents`, {
    key: "notes.md",
    content: notes,
  });
  if (made.status !== 201 || added.status !== 201) throw new Error(`${made.body} ${added.body}`);
  known.learn(JSON.parse(made.body), "collections");
  known.learn(JSON.parse(added.body), "documents");
}

/** A user of this round, known by a token and by a cookie, where the document has users. */
async function signIn(
  document: ApiDocument,
  ask: FuzzedDoor["ask"],
  send: (
    method: string,
    path: string,
    credentials: Credentials,
    body: Record<string, unknown>,
  ) => Promise<RawAnswer>,
): Promise<Credentials[]> {
  const place = (name: string) =>
    operationsOf(document).find(({ operationId }) => operationId === name)?.path;
  const [users, login] = [place("users.create"), place("auth.login")];
  if (users === undefined || login === undefined) return [];
  const name = `fuzzer-${count}`;
  const made = await ask("POST", users, { name, password, role: "developer" });
  const tokens = await send("POST", login, [], { name, password });
  const cookie = await send("POST", login, [], { name, password, as: "cookie" });
  if (made.status !== 201 || tokens.status !== 200 || cookie.status !== 200)
    throw new Error(`${made.body} ${tokens.body} ${cookie.body}`);
  const { accessToken } = JSON.parse(tokens.body) as { accessToken: string };
  const session = cookie.headers.get("set-cookie")?.split(";")[0] ?? "";
  return [
    [["authorization", `Bearer ${accessToken}`]],
    [
      ["cookie", session],
      ["x-candor-request", "1"],
    ],
  ];
}
