import { createHash } from "node:crypto";
import { readFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { inspect, type Server } from "./start-server.ts";

/** A pseudo-random whole number below `below` (mulberry32, a public domain generator). */
export type Draw = (below: number) => number;

export function seeded(seed: number): Draw {
  let drawn = seed;
  return (below) => {
    drawn = (drawn + 0x6d2b79f5) | 0;
    let mixed = Math.imul(drawn ^ (drawn >>> 15), drawn | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** What a thing is, in one word; `absent` where there is none. */
type State = string;

/** A thing that one client changes: what its last answer said it is, and what a request without an answer may have made of it. */
type Thing = { certain: State; pending: State | null; id?: string; spare?: string };

/** The acknowledgement ledger of one data directory: it lies in the process that asks, not in the one that dies. */
export type Acknowledged = {
  /** Kind and name of a thing, such as `document a.md`. */
  readonly things: Map<string, Thing>;
  /** Audited operations by name: how many were answered, and how many more may have been done. */
  readonly done: Map<string, { answered: number; asked: number }>;
  /** Answers that nobody should get. */
  readonly unexpected: string[];
};

export function newLedger(): Acknowledged {
  return { things: new Map(), done: new Map(), unexpected: [] };
}

type Asked = {
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** What the thing is when this is answered. */
  readonly makes: State;
};

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

export const password = "correct horse 1!";

/** One write: asked, and entered into the ledger as soon as it is answered. Null when the server died over it. */
async function write(
  server: Server,
  ledger: Acknowledged,
  thing: Thing,
  asked: Asked,
): Promise<Record<string, unknown> | null> {
  const counted = ledger.done.get(asked.operation) ?? { answered: 0, asked: 0 };
  ledger.done.set(asked.operation, counted);
  counted.asked += 1;
  thing.pending = asked.makes;
  let reply;
  try {
    reply = await server.ask(asked.method, asked.path, asked.body);
  } catch {
    return null; // killed: nobody was told anything
  }
  if (reply.status >= 300) {
    ledger.unexpected.push(`${asked.operation}: ${reply.status} ${JSON.stringify(reply.body)}`);
    return null;
  }
  counted.answered += 1;
  thing.certain = asked.makes;
  thing.pending = null;
  return reply.body;
}

function thingOf(ledger: Acknowledged, name: string): Thing {
  const known = ledger.things.get(name);
  if (known) return known;
  const made: Thing = { certain: "absent", pending: null };
  ledger.things.set(name, made);
  return made;
}

type Client = (server: Server, ledger: Acknowledged, draw: Draw, name: string) => Promise<void>;

/** The kinds of writes: each changes one of its own things once. */
export const kinds: Readonly<Record<string, Client>> = {
  document: async (server, ledger, draw, client) => {
    const key = `${client}-${draw(6)}.md`;
    const thing = thingOf(ledger, `document ${key}`);
    const path = "/collections/writes/documents";
    if (thing.certain === "absent" || draw(3) > 0) {
      // Deleted ones come back by the trash now and then, with all that they had.
      if (thing.certain === "absent" && thing.spare !== undefined && draw(2) === 0) {
        const makes = thing.spare;
        const operation = "trash.restore";
        const request = { operation, method: "POST", path: `/trash/${thing.id}/restore`, body: {} };
        await write(server, ledger, thing, { ...request, makes });
        delete thing.spare;
        return;
      }
      const content = `# Water ${key}\n\n${`The fire of ${draw(1e6)}.\n\n`.repeat(1 + draw(4))}`;
      const request = { operation: "documents.add", method: "POST", path, body: { key, content } };
      await write(server, ledger, thing, { ...request, makes: sha256(content) });
      delete thing.spare;
      return;
    }
    const before = thing.certain;
    const request = { operation: "documents.delete", method: "DELETE", path: `${path}/${key}` };
    const answer = await write(server, ledger, thing, { ...request, makes: "absent" });
    const { trash } = (answer?.["undo"] ?? {}) as { trash?: string };
    if (trash === undefined) return;
    thing.id = trash;
    thing.spare = before;
  },
  collection: async (server, ledger, draw, client) => {
    const name = `${client}-${draw(3)}`;
    const thing = thingOf(ledger, `collection ${name}`);
    const description = `description ${draw(1e6)}`;
    const path = `/collections/${name}`;
    const choice = thing.certain === "absent" ? 0 : 1 + draw(2);
    const requests: Asked[] = [
      {
        operation: "collections.create",
        method: "POST",
        path: "/collections",
        body: { name, description },
        makes: description,
      },
      {
        operation: "collections.update",
        method: "PATCH",
        path,
        body: { description },
        makes: description,
      },
      { operation: "collections.delete", method: "DELETE", path, makes: "absent" },
    ];
    await write(server, ledger, thing, requests[choice] as Asked);
  },
  setting: async (server, ledger, draw) => {
    const thing = thingOf(ledger, "setting storage.trashDays");
    const days = 1 + draw(90);
    const body = { values: { "storage.trashDays": days } };
    const request = { operation: "settings.set", method: "PATCH", path: "/settings", body };
    await write(server, ledger, thing, { ...request, makes: String(days) });
  },
  key: async (server, ledger, draw, client) => {
    const number = [...ledger.things.keys()].filter((name) => name.startsWith("key ")).length;
    const named = `key ${client}-${number}`;
    const open = [...ledger.things].find(
      ([name, { certain, pending, id }]) =>
        name.startsWith(`key ${client}-`) && certain === "made" && pending === null && id,
    );
    if (open && draw(2) === 0) {
      const [, thing] = open;
      const request = { operation: "keys.revoke", method: "DELETE", path: `/keys/${thing.id}` };
      await write(server, ledger, thing, { ...request, makes: "revoked" });
      return;
    }
    const thing = thingOf(ledger, named);
    const body = { name: named.slice(4), role: "read_only" };
    const request = { operation: "keys.create", method: "POST", path: "/keys", body };
    const answer = await write(server, ledger, thing, { ...request, makes: "made" });
    if (answer) thing.id = String(answer["id"]);
  },
  entry: async (server, ledger, _draw, client) => {
    const number = [...ledger.things.keys()].filter((name) => name.startsWith("entry ")).length;
    const thing = thingOf(ledger, `entry ${client}-${number}`);
    // An error that a client was told is in the ledger; then it is resolved.
    const failed = await server
      .ask("POST", "/embeddings", { kind: "query", inputs: ["[PAD]"] })
      .catch(() => null);
    if (failed === null) return;
    thing.id = String(failed.body["instance"]).replace("urn:candor:", "");
    thing.certain = "open";
    const path = `/ledger/${thing.id}/resolve`;
    const request = { operation: "ledger.resolve", method: "POST", path, body: { notes: "seen" } };
    await write(server, ledger, thing, { ...request, makes: "resolved" });
  },
  user: async (server, ledger, draw, client) => {
    const name = `${client}-${draw(3)}`;
    const thing = thingOf(ledger, `user ${name}`);
    const role = ["read_only", "api_user", "developer"][draw(3)] ?? "read_only";
    const request =
      thing.certain === "absent"
        ? { operation: "users.create", method: "POST", path: "/users", body: { name, role } }
        : { operation: "users.update", method: "PATCH", path: `/users/${name}`, body: { role } };
    await write(server, ledger, thing, { ...request, makes: role });
  },
  grant: async (server, ledger, draw) => {
    const grantee = `grantee-${draw(2)}`;
    const thing = thingOf(ledger, `grant ${grantee}`);
    const right = ["read", "write", "owner"][draw(3)] ?? "read";
    const path = "/collections/writes/grants";
    const request =
      thing.certain !== "absent" && draw(3) === 0
        ? {
            operation: "grants.remove",
            method: "DELETE",
            path: `${path}/${grantee}`,
            makes: "absent",
          }
        : {
            operation: "grants.set",
            method: "POST",
            path,
            body: { principal: grantee, right },
            makes: right,
          };
    await write(server, ledger, thing, request);
  },
  login: async (server, ledger, _draw, client) => {
    const number = [...ledger.things.keys()].filter((name) => name.startsWith("token ")).length;
    const open = [...ledger.things].find(
      ([name, { certain, pending, spare }]) =>
        name.startsWith(`token ${client}-`) && certain === "fresh" && pending === null && spare,
    );
    const thing = thingOf(ledger, `token ${client}-${number}`);
    // A refresh spends the old token in the transaction that makes the new one.
    const [, old] = open ?? [];
    if (old) old.pending = "spent";
    const request = old
      ? { operation: "auth.refresh", path: "/auth/refresh", body: { refreshToken: old.spare } }
      : {
          operation: "auth.login",
          path: "/auth/login",
          body: { name: "grantee-0", password },
        };
    const answer = await write(server, ledger, thing, {
      ...request,
      method: "POST",
      makes: "fresh",
    });
    if (!answer) {
      // Of a token that nobody was told nothing can be asked.
      ledger.things.delete(`token ${client}-${number}`);
      return;
    }
    if (old) Object.assign(old, { certain: "spent", pending: null });
    thing.spare = String(answer["refreshToken"]);
    thing.id = sha256(thing.spare);
  },
};

/** What a thing is in the data directory that a dead process left. */
function readStates(home: string): (name: string, thing: Thing) => State {
  const store = inspect(home);
  const settings = join(home, "settings.json");
  const map = (query: string) =>
    new Map(store.all(query).map(({ name, state }) => [String(name), String(state)]));
  const tables: Readonly<Record<string, Map<string, State>>> = {
    document: map(
      "select key as name, sha256 as state from documents where collection_id = (select id from collections where name = 'writes')",
    ),
    collection: map("select name, description as state from collections where trash_id is null"),
    key: map(
      "select name, case when revoked_at is null then 'made' else 'revoked' end as state from api_keys",
    ),
    user: map("select name, role as state from users"),
    grant: map(
      `select users.name, level as state from grants join users on users.id = principal_id
       where collection_id = (select id from collections where name = 'writes')`,
    ),
  };
  const byId: Readonly<Record<string, Map<string, State>>> = {
    entry: map(
      "select id as name, case resolved when 1 then 'resolved' else 'open' end as state from ledger_entries",
    ),
    token: map(
      "select hash as name, case when spent_at is null then 'fresh' else 'spent' end as state from refresh_tokens",
    ),
  };
  store.close();
  const stored = existsSync(settings)
    ? (JSON.parse(readFileSync(settings, "utf8")) as Record<string, number>)
    : {};
  return (named, { id }) => {
    const [kind = "", ...rest] = named.split(" ");
    const name = rest.join(" ");
    if (kind === "setting") return String(stored[name] ?? "absent");
    const found = byId[kind]?.get(id ?? "") ?? tables[kind]?.get(name);
    return found ?? "absent";
  };
}

/**
 * Compares what lies there with what was answered: a thing is what its last answer said, or what the one request without
 * an answer would have made of it, whole. Afterwards that is what is known of it. Returns what is wrong.
 */
export function compare(home: string, ledger: Acknowledged): string[] {
  const stateOf = readStates(home);
  const wrong = [...ledger.unexpected];
  for (const [name, thing] of ledger.things) {
    const is = stateOf(name, thing);
    if (is !== thing.certain && is !== thing.pending)
      wrong.push(`${name} is ${is}; answered: ${thing.certain}; asked: ${thing.pending}`);
    // An id that was never told cannot be asked for again, and what the trash holds has another id now.
    if (thing.pending !== null && /^(key|entry)/.test(name) && is !== thing.certain)
      ledger.things.delete(name);
    if (thing.pending !== null) delete thing.spare;
    thing.certain = is;
    thing.pending = null;
  }
  return [...wrong, ...compareAudit(home, ledger), ...findHalves(home)];
}

/** Every answered operation stands in the audit, and none that was not asked. */
function compareAudit(home: string, { done }: Acknowledged): string[] {
  const store = inspect(home);
  const rows = store.all(
    "select operation, count(*) as n from audit_entries where outcome = 'done' group by operation",
  );
  store.close();
  const audited = new Map(rows.map(({ operation, n }) => [String(operation), Number(n)]));
  return [...done].flatMap(([operation, { answered, asked }]) => {
    const n = audited.get(operation) ?? 0;
    return n >= answered && n <= asked
      ? []
      : [`${operation}: ${n} in the audit, ${answered} answered, ${asked} asked`];
  });
}

/** What is not whole, by SQL. */
function findHalves(home: string): string[] {
  const store = inspect(home);
  const halves: Readonly<Record<string, string>> = {
    "documents with other chunks than counted": `documents d where chunk_count = 0 or
      chunk_count <> (select count(*) from chunks c where c.document_id = d.id)`,
    "documents without text": `documents where id not in (select document_id from document_texts)`,
    "texts without document": `document_texts where document_id not in (select id from documents)`,
    "chunks without vector": `chunks where key not in (select chunk_key from vectors)`,
    "things both here and in the trash": `documents where id in (select id from trashed_documents)`,
    "collections without owner": `collections where id not in (select collection_id from grants where level = 'owner')`,
  };
  try {
    const [integrity] = store.all("pragma integrity_check");
    return [
      ...(integrity?.["integrity_check"] === "ok" ? [] : [JSON.stringify(integrity)]),
      ...store.all("pragma foreign_key_check").map((row) => JSON.stringify(row)),
      ...Object.entries(halves).flatMap(([what, where]) =>
        store.count(where) === 0 ? [] : [`${store.count(where)} ${what}`],
      ),
      ...store.all("select id from collections").flatMap(({ id }) => {
        const words = `words_${String(id).toLowerCase()}_docsize`;
        const own = `select row from chunks where collection_id = '${String(id)}'`;
        const n =
          store.count(`(${own}) where row not in (select id from ${words})`) +
          store.count(`${words} where id not in (${own})`);
        return n === 0 ? [] : [`${n} chunks and keywords of ${String(id)} without each other`];
      }),
    ];
  } finally {
    store.close();
  }
}
