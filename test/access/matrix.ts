import type { Role } from "#base/access/index.ts";
import type { GrantLevel } from "#base/database/index.ts";
import type { Targets } from "./world.ts";

/**
 * Who may run an operation, written down by hand: the product's own definitions are compared with this, so both would have to be
 * wrong in the same way.
 */
export type Rule = {
  /** The lowest role; `anybody`: no caller is needed. */
  readonly who: Role | "anybody";
  /** The right on the target collection; admins have it always. */
  readonly right?: GrantLevel;
  /** One's own things only, below this role. */
  readonly own?: Role;
  /** Statuses that also count as let in: the thing itself refuses, not the door. */
  readonly also?: readonly number[];
  /** From this role on, things of others are meant to be seen. */
  readonly sees?: Role;
  /** Who passes role and right and is refused all the same, with the status that says so. */
  readonly except?: (caller: { role: Role; limited: boolean; mine: boolean }) => number | null;
  /** Without enough of a right the thing is not there at all. */
  readonly hidden?: true;
  input(targets: Targets): Promise<Record<string, unknown>>;
};

const nothing = async () => ({});
const ofCollection = async (targets: Targets) => ({ collection: (await targets.collection()).id });
const ofDocument = async (targets: Targets) => {
  const { collection, document } = await targets.document();
  return { collection: collection.id, document };
};
const ofJob = async (targets: Targets) => ({ job: await targets.job() });
const ofUser = async (targets: Targets) => ({ user: await targets.user() });
const limitedIsRefused = ({ limited }: { limited: boolean }) => (limited ? 403 : null);

export const matrix: Readonly<Record<string, Rule>> = {
  "system.health": { who: "anybody", also: [503], input: nothing },
  "system.info": { who: "read_only", input: nothing },
  "system.metrics": { who: "read_only", input: nothing },
  "settings.list": { who: "developer", input: nothing },
  "settings.set": {
    who: "admin",
    input: async () => ({ values: { "logging.level": "warn" } }),
  },
  "operations.list": { who: "read_only", input: nothing },
  "signin.create": {
    who: "anybody",
    input: async (targets) => ({ token: targets.linkToken() }),
  },
  "auth.login": {
    who: "anybody",
    input: async (targets) => ({ name: await targets.user(), password: targets.password }),
  },
  "auth.refresh": {
    who: "anybody",
    input: async (targets) => ({ refreshToken: await targets.refreshToken() }),
  },
  "auth.logout": {
    who: "read_only",
    // The caller's own credential is needed for the rest of the matrix: a sign-in of its own is ended by another test.
    also: [422, 403],
    input: async () => ({ everywhere: "not a switch" }),
  },
  "auth.me": { who: "read_only", input: nothing },
  "users.create": {
    who: "admin",
    input: async (targets) => ({ name: targets.freshName() }),
  },
  "users.list": { who: "admin", input: nothing },
  "users.update": {
    who: "read_only",
    own: "admin",
    input: async (targets) => ({ ...(await ofUser(targets)), role: "api_user" }),
    // Of themselves, people change only the password, and only knowing the old one. A limited key is nobody's self.
    except: ({ mine, limited }) => (mine ? (limited ? 404 : 403) : null),
  },
  "users.delete": { who: "admin", input: ofUser },
  "keys.create": {
    who: "api_user",
    input: async (targets) => ({ name: targets.freshName(), role: "read_only" }),
    except: limitedIsRefused,
  },
  "keys.list": { who: "api_user", input: nothing },
  "keys.revoke": {
    who: "api_user",
    own: "admin",
    input: async (targets) => ({ key: await targets.key() }),
  },
  "grants.list": { who: "read_only", right: "owner", input: ofCollection },
  "grants.set": {
    who: "api_user",
    right: "owner",
    input: async (targets) => ({
      ...(await ofCollection(targets)),
      principal: await targets.user(),
      right: "read",
    }),
    except: limitedIsRefused,
  },
  "grants.remove": {
    who: "api_user",
    right: "owner",
    input: async (targets) => {
      const { id } = await targets.collection();
      return { collection: id, principal: await targets.grantee(id) };
    },
    except: limitedIsRefused,
  },
  "access.explain": {
    who: "admin",
    input: async (targets) => ({
      principal: "local",
      operation: "search.query",
      target: (await targets.collection()).id,
    }),
  },
  "audit.list": { who: "admin", input: nothing },
  "audit.verify": { who: "admin", input: nothing },
  "ledger.list": { who: "developer", sees: "developer", input: nothing },
  "ledger.get": {
    who: "developer",
    sees: "developer",
    input: async (targets) => ({ entry: await targets.ledgerEntry() }),
  },
  "ledger.groups": { who: "developer", sees: "developer", input: nothing },
  "ledger.resolve": {
    who: "developer",
    sees: "developer",
    input: async (targets) => ({ entry: await targets.ledgerEntry(), notes: "seen" }),
  },
  "ledger.export": { who: "developer", sees: "developer", input: nothing },
  "jobs.list": { who: "api_user", sees: "developer", input: nothing },
  "jobs.get": { who: "api_user", own: "developer", sees: "developer", input: ofJob },
  "jobs.items": { who: "api_user", own: "developer", sees: "developer", input: ofJob },
  "jobs.events": { who: "api_user", own: "developer", sees: "developer", input: ofJob },
  "jobs.cancel": {
    who: "api_user",
    own: "developer",
    sees: "developer",
    also: [409],
    input: ofJob,
  },
  "jobs.resume": {
    who: "api_user",
    own: "developer",
    sees: "developer",
    also: [409],
    input: ofJob,
  },
  "jobs.retryFailed": {
    who: "api_user",
    own: "developer",
    sees: "developer",
    also: [409],
    input: ofJob,
  },
  "embeddings.embed": {
    who: "api_user",
    input: async () => ({ inputs: ["a text"], kind: "passage" }),
  },
  "spaces.list": { who: "read_only", input: nothing },
  "spaces.get": { who: "read_only", input: async (targets) => ({ space: targets.space }) },
  "collections.create": {
    who: "api_user",
    input: async (targets) => ({ name: targets.freshName() }),
    except: limitedIsRefused,
  },
  "collections.list": { who: "read_only", input: nothing },
  "collections.get": { who: "read_only", right: "read", input: ofCollection },
  "collections.update": {
    who: "api_user",
    right: "owner",
    input: async (targets) => ({ ...(await ofCollection(targets)), description: "new" }),
  },
  "collections.delete": { who: "api_user", right: "owner", input: ofCollection },
  "collections.sync": {
    who: "api_user",
    right: "write",
    input: async (targets) => ({ ...(await ofCollection(targets)), path: targets.root }),
  },
  "documents.add": {
    who: "api_user",
    right: "write",
    input: async (targets) => ({ ...(await ofCollection(targets)), content: "New words." }),
  },
  "documents.addBatch": {
    who: "api_user",
    right: "write",
    input: async (targets) => ({
      ...(await ofCollection(targets)),
      documents: [{ content: "New words." }],
    }),
  },
  "documents.list": { who: "read_only", right: "read", input: ofCollection },
  "documents.get": { who: "read_only", right: "read", input: ofDocument },
  "documents.read": { who: "read_only", right: "read", input: ofDocument },
  "documents.delete": { who: "api_user", right: "write", input: ofDocument },
  "search.query": {
    who: "read_only",
    right: "read",
    input: async (targets) => ({
      query: "words",
      collections: [(await targets.document()).collection.id],
    }),
  },
  "search.explain": {
    who: "read_only",
    right: "read",
    input: async (targets) => ({ query: "words", chunk: (await targets.document()).chunk }),
  },
  "trash.list": { who: "api_user", input: nothing },
  "trash.restore": {
    who: "api_user",
    right: "write",
    hidden: true,
    input: async (targets) => ({ trash: await targets.trash() }),
  },
  "trash.empty": {
    who: "api_user",
    right: "write",
    hidden: true,
    input: async (targets) => ({ trash: await targets.trash() }),
  },
  "storage.usage": { who: "admin", input: nothing },
  "storage.cleanup": { who: "admin", input: async () => ({ dryRun: true }) },
  "activity.list": { who: "read_only", input: nothing },
};
