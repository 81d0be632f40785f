import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localPrincipal, type Principal, type Role, roles } from "#base/access/index.ts";
import { loadConfiguration } from "#base/config/index.ts";
import type { GrantLevel } from "#base/database/index.ts";
import { openApp, type OpenApp } from "#app";
import { type HttpDoor, openHttp } from "#doors/http/index.ts";
import { operations, runOperation } from "#operations/index.ts";
import { modelFolders } from "../fixtures/rooms/open-test-app.ts";

/** In every name, key and text of the things of somebody else: it may stand in no answer to anybody without a right. */
export const canary = "canary";

export type Caller = {
  readonly title: string;
  /** Null: nobody, or somebody whose credential is not accepted. */
  readonly role: Role | null;
  readonly accepted: boolean;
  /** Whether it may be given rights on the target. */
  readonly limited: boolean;
  /** The headers with which it calls, and the principal that gets rights and owns things. */
  credential(target: string | null, right: GrantLevel | null): Promise<Record<string, string>>;
  readonly principal: Principal | null;
};

/** What an operation is tried on: each cell of the matrix gets fresh ones. */
export type Targets = {
  collection(): Promise<{ id: string; name: string }>;
  document(): Promise<{ collection: { id: string }; document: string; chunk: string }>;
  /** A job of the caller, or of somebody else. */
  job(): Promise<string>;
  key(): Promise<string>;
  /** The name of a user who can sign in, below everybody. */
  user(): Promise<string>;
  grantee(collection: string): Promise<string>;
  trash(): Promise<string>;
  ledgerEntry(): Promise<string>;
  refreshToken(): Promise<string>;
  linkToken(): string;
  freshName(): string;
  readonly password: string;
  readonly space: string;
  readonly root: string;
};

export type World = {
  readonly app: OpenApp;
  readonly door: HttpDoor;
  readonly callers: readonly Caller[];
  /** Fresh targets; the one collection is known once it was asked for. */
  targets(cell: { caller: Caller; right: GrantLevel | null; mine: boolean }): Targets;
  /** Headers of a caller for a cell, after its targets were made. */
  headers(
    caller: Caller,
    targets: Targets,
    right: GrantLevel | null,
  ): Promise<Record<string, string>>;
  close(): Promise<void>;
};

const password = "correct horse, battery";

/** A whole Candor with things of a stranger in it, and everybody who may come to the door. */
export async function openWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "candor-matrix-"));
  const root = join(folder, "root");
  mkdirSync(root);
  writeFileSync(join(root, "a.md"), "Words in a file.\n");
  const configuration = loadConfiguration({
    flags: {
      "storage.home": join(folder, "home"),
      "storage.roots": root,
      "models.static": modelFolders.tiny,
      "server.port": 0,
      "logging.console": false,
      "security.requestsPerMinutePerAddress": 1_000_000,
      "security.failuresPerMinutePerAddress": 10_000,
    },
    environment: {},
    workingDirectory: folder,
  });
  const app = await openApp(configuration);
  const door = await openHttp(app, operations, { host: "127.0.0.1", port: 0 });
  const run = runner(app);
  const callers = await makeCallers(app, run);
  await makeStranger(app, run);
  const made = new WeakMap<Targets, string>();
  const space = String(
    ((await run("spaces.list", {})) as { items: { id: string }[] }).items[0]?.id,
  );
  return {
    app,
    door,
    callers,
    targets: (cell) => makeTargets({ app, run, root, space, made }, cell),
    headers: async (caller, targets, right) => ({
      host: `127.0.0.1:${door.port}`,
      ...(await caller.credential(made.get(targets) ?? null, right)),
    }),
    close: async () => {
      await door.close();
      await app.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

type Run = (name: string, input: unknown, by?: Principal) => Promise<unknown>;

function runner(app: OpenApp): Run {
  return async (name, input, by = localPrincipal) => {
    const operation = operations.find((known) => known.name === name);
    if (!operation) throw new TypeError(`no operation ${name}`);
    return (await runOperation(app, operation, input, { principal: by })).output;
  };
}

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

async function makeUser(app: OpenApp, run: Run, name: string, role: Role) {
  const { id } = (await run("users.create", { name, role, password })) as { id: string };
  const login = async () => {
    const { accessToken } = (await run("auth.login", { name, password })) as {
      accessToken: string;
    };
    return accessToken;
  };
  const token = await login();
  const principal = await app.access.authenticate({ bearer: token });
  if (!principal) throw new TypeError(`${name} cannot sign in`);
  return { id, name, token, login, principal };
}

async function makeCallers(app: OpenApp, run: Run): Promise<Caller[]> {
  const set = (principal: string) => async (target: string | null, right: GrantLevel | null) => {
    if (target !== null && right !== null)
      await run("grants.set", { collection: target, principal, right });
  };
  const callers: Caller[] = [
    {
      title: "nobody",
      role: null,
      accepted: true,
      limited: false,
      principal: null,
      credential: async () => ({}),
    },
  ];
  for (const role of roles) {
    const user = await makeUser(app, run, `user-${role.replace("_", "-")}`, role);
    const grant = set(user.id);
    callers.push({
      title: `a user, ${role}`,
      role,
      accepted: true,
      limited: false,
      principal: user.principal,
      credential: async (target, right) => {
        await grant(target, right);
        return bearer(user.token);
      },
    });
  }
  return [...callers, ...(await makeKeys(app, run)), ...(await makeRefused(app, run))];
}

/** A key that reaches what its user was given, and one that reaches only the target. */
async function makeKeys(app: OpenApp, run: Run): Promise<Caller[]> {
  const maker = await makeUser(app, run, "key-maker", "developer");
  const { id, key } = await app.access.keys.create(maker.principal, {
    name: "k",
    role: "api_user",
  });
  const principal = await app.access.keys.principalOf(id);
  const cells = {
    limited: await app.access.keys.create(maker.principal, { name: "none", grants: [] }),
  };
  return [
    {
      title: "a key of a user, api_user",
      role: "api_user",
      accepted: true,
      limited: false,
      principal,
      credential: async (target, right) => {
        if (target !== null && right !== null)
          await run("grants.set", { collection: target, principal: maker.id, right });
        return bearer(key);
      },
    },
    {
      title: "a limited key, api_user",
      role: "api_user",
      accepted: true,
      limited: true,
      principal: await app.access.keys.principalOf(cells.limited.id),
      credential: async (target, right) => {
        if (target !== null && right !== null)
          await run("grants.set", { collection: target, principal: cells.limited.id, right });
        return bearer(cells.limited.key);
      },
    },
  ];
}

/** Credentials that were good once, with every right: nothing of that is left. */
async function makeRefused(app: OpenApp, run: Run): Promise<Caller[]> {
  const gone = (title: string, secret: string, principal: string): Caller => ({
    title,
    role: null,
    accepted: false,
    limited: false,
    principal: null,
    credential: async (target, right) => {
      if (target !== null && right !== null)
        await app.database.write(({ tables }) =>
          tables
            .insertInto("grants")
            .orReplace()
            .values({
              principal_id: principal,
              collection_id: target,
              level: right,
              created_at: 0,
            })
            .execute(),
        );
      return bearer(secret);
    },
  });
  const expired = await app.access.keys.create(localPrincipal, {
    name: "expired",
    role: "superadmin",
    expiresAt: new Date(Date.now() + 60_000).toISOString(),
  });
  await app.database.write(({ tables }) =>
    tables.updateTable("api_keys").set({ expires_at: 1 }).where("id", "=", expired.id).execute(),
  );
  const revoked = await app.access.keys.create(localPrincipal, {
    name: "revoked",
    role: "superadmin",
  });
  await run("keys.revoke", { key: revoked.id });
  const out = await makeUser(app, run, "signed-out", "admin");
  await run("auth.logout", { everywhere: true }, out.principal);
  const disabled = await makeUser(app, run, "disabled", "admin");
  const disabledKey = await app.access.keys.create(disabled.principal, {
    name: "k",
    role: "admin",
  });
  await run("users.update", { user: "disabled", disabled: true });
  const deleted = await makeUser(app, run, "deleted", "admin");
  await run("users.delete", { user: "deleted" });
  return [
    gone("an expired key", expired.key, expired.id),
    gone("a revoked key", revoked.key, revoked.id),
    gone("a token of somebody who signed out", out.token, out.id),
    gone("a token of a disabled user", disabled.token, disabled.id),
    gone("a key of a disabled user", disabledKey.key, disabledKey.id),
    gone("a token of a deleted user", deleted.token, deleted.id),
  ];
}

/** Somebody whose things nobody else has a right to. */
async function makeStranger(app: OpenApp, run: Run): Promise<void> {
  const stranger = await makeUser(app, run, `${canary}-owner`, "developer");
  const by = stranger.principal;
  const name = `${canary}-collection`;
  await run("collections.create", { name, description: `${canary} description` }, by);
  const document = {
    key: `${canary}-document.md`,
    content: `# ${canary} title\n\n${canary} words.`,
  };
  await run("documents.add", { collection: name, ...document }, by);
  await run(
    "documents.add",
    { collection: name, key: `${canary}-2`, content: `${canary} two` },
    by,
  );
  await run("documents.delete", { collection: name, document: `${canary}-2` }, by);
  await run("keys.create", { name: `${canary}-key` }, by);
  const batch = { documents: [{ key: `${canary}-3`, content: " " }, { content: `${canary} 4` }] };
  const { job } = (await run("documents.addBatch", { collection: name, ...batch }, by)) as {
    job: { id: string };
  };
  await app.jobs.ended(job.id, AbortSignal.timeout(20_000));
}

type Kit = { app: OpenApp; run: Run; root: string; space: string; made: WeakMap<Targets, string> };

let fresh = 0;

function makeTargets(
  { app, run, root, space, made }: Kit,
  { caller, mine }: { caller: Caller; right: GrantLevel | null; mine: boolean },
): Targets {
  const freshName = () => `m${(fresh += 1)}`;
  const owner = mine && caller.principal ? caller.principal : localPrincipal;
  const user = async () => {
    const name = freshName();
    await run("users.create", { name, role: "read_only", password });
    return name;
  };
  const targets: Targets = {
    collection: async () => {
      const collection = await run("collections.create", { name: freshName() });
      const { id, name } = collection as { id: string; name: string };
      made.set(targets, id);
      return { id, name };
    },
    document: async () => {
      const collection = await targets.collection();
      const added = await run("documents.add", {
        collection: collection.id,
        content: `# Words\n\nSome words ${freshName()}.`,
      });
      const { document } = added as { document: { id: string } };
      const got = await run("documents.get", {
        collection: collection.id,
        document: document.id,
        includeChunks: true,
      });
      const { chunks } = got as { chunks: { id: string }[] };
      return { collection, document: document.id, chunk: String(chunks[0]?.id) };
    },
    job: async () => {
      const { id } = (await run("collections.create", { name: freshName() })) as { id: string };
      // A job goes on in its owner's name: the owner must be allowed to write.
      if (owner !== localPrincipal)
        await run("grants.set", { collection: id, principal: owner.owner, right: "write" });
      const input = { collection: id, documents: [{ content: freshName() }] };
      const by: Principal = { ...owner, role: "admin", limited: false };
      const { job } = (await run("documents.addBatch", input, by)) as { job: { id: string } };
      await app.jobs.ended(job.id, AbortSignal.timeout(20_000));
      return job.id;
    },
    key: async () => {
      const by: Principal = { ...owner, limited: false };
      const { id } = await app.access.keys.create(by, { name: freshName(), role: "read_only" });
      return id;
    },
    user: async () =>
      mine && caller.principal?.owner.startsWith("usr_") ? caller.principal.owner : user(),
    grantee: async (collection) => {
      const principal = await user();
      await run("grants.set", { collection, principal, right: "read" });
      return principal;
    },
    trash: async () => {
      const { collection, document } = await targets.document();
      const deleted = await run("documents.delete", { collection: collection.id, document });
      const { undo } = deleted as { undo: { trash: string } };
      return undo.trash;
    },
    ledgerEntry: () => app.ledger.record(new RangeError(freshName())),
    refreshToken: async () => {
      const signedIn = await run("auth.login", { name: await user(), password });
      return (signedIn as { refreshToken: string }).refreshToken;
    },
    linkToken: () => app.access.signIn.issueToken(),
    freshName,
    password,
    space,
    root,
  };
  return targets;
}
