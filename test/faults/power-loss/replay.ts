import { dirname } from "node:path/posix";

/** One recorded call; see record.c. */
type Call = {
  readonly kind: string;
  readonly descriptor: number;
  readonly offset: number;
  readonly bytes: Buffer;
};

/** What the log of record.c says, in order. */
export function readLog(log: Buffer): Call[] {
  const calls: Call[] = [];
  for (let at = 0; at < log.length;) {
    const length = log.readUInt32LE(at + 13);
    calls.push({
      kind: String.fromCharCode(log.readUInt8(at)),
      descriptor: log.readInt32LE(at + 1),
      offset: Number(log.readBigUInt64LE(at + 5)),
      bytes: log.subarray(at + 17, at + 17 + length),
    });
    at += 17 + length;
  }
  return calls;
}

/** A write or a truncation; `at` is its place in the log. */
type Change = { readonly at: number; readonly offset: number; readonly bytes: Buffer | null };

type File = { durable: Bytes; pending: Change[] };

/** A change of names in one folder; it is on the disk when the folder was synced. */
type Naming = { readonly at: number; readonly folder: string; apply(names: Names): unknown };

type Names = Map<string, File>;

/**
 * What the disk kept of what was not synced: nothing, all up to a moment, any subset of the sectors, or (to prove that
 * the recorder sees everything) all of it.
 */
export const keptShares = ["nothing", "prefix", "sectors", "everything"] as const;
type Kept = (typeof keptShares)[number];

/** `at-once`: a created, renamed or removed name is durable at once. `synced`: only when its folder was synced. */
export type Crash = { readonly kept: Kept; readonly names: "at-once" | "synced" };

/** The unit a disk writes whole. */
const sectorBytes = 512;

export type Replay = {
  /** Applies the calls before `at`, which must not lie before an earlier one. */
  advance(at: number): void;
  /** The files by path as a power loss at this moment may leave them; `random` draws from 0 up to below its argument. */
  files(crash: Crash, random: (below: number) => number): Map<string, Uint8Array>;
  folders(): readonly string[];
};

/** Rebuilds a recorded folder call by call. Raises on a call that it does not know. */
export function createReplay(calls: readonly Call[]): Replay {
  const now: Names = new Map();
  const durable: Names = new Map();
  let unsynced: Naming[] = [];
  const folders = new Set<string>([""]);
  const descriptors = new Map<number, File | string>();
  let next = 0;

  const rename = (at: number, path: string, apply: (names: Names) => unknown) => {
    apply(now);
    const folder = dirname(`/${path}`).slice(1);
    unsynced.push({ at, folder, apply });
  };
  const fileOf = ({ descriptor }: Call): File => {
    const opened = descriptors.get(descriptor);
    if (opened === undefined || typeof opened === "string")
      throw new Error(`a call on descriptor ${descriptor}, which is no open file`);
    return opened;
  };
  const open = (at: number, { descriptor, offset, bytes }: Call) => {
    const path = bytes.toString();
    if (folders.has(path)) {
      descriptors.set(descriptor, path);
      return;
    }
    const found = now.get(path);
    const file = found ?? { durable: emptyBytes(), pending: [] };
    if (!found) rename(at, path, (names) => names.set(path, file));
    else if (offset === 1) file.pending.push({ at, offset: 0, bytes: null });
    descriptors.set(descriptor, file);
  };
  const sync = ({ descriptor }: Call) => {
    const opened = descriptors.get(descriptor);
    if (typeof opened === "string") {
      for (const naming of unsynced) if (naming.folder === opened) naming.apply(durable);
      unsynced = unsynced.filter(({ folder }) => folder !== opened);
    } else if (opened) {
      for (const change of opened.pending) applyChange(opened.durable, change);
      opened.pending = [];
    }
  };
  const move = (at: number, { bytes }: Call, keep: boolean) => {
    const [from = "", to = ""] = bytes.toString().split("\0");
    const file = now.get(from);
    if (!file) throw new Error(`${from} is renamed or linked and was never opened`);
    rename(at, to, (names) => {
      if (!keep) names.delete(from);
      names.set(to, file);
    });
  };
  const remove = (at: number, path: string) => {
    if (!folders.delete(path)) rename(at, path, (names) => names.delete(path));
  };
  const apply = (at: number, call: Call) => {
    const { kind, descriptor, offset, bytes } = call;
    if (kind === "o") open(at, call);
    else if (kind === "c") descriptors.delete(descriptor);
    else if (kind === "w") fileOf(call).pending.push({ at, offset, bytes });
    else if (kind === "t") fileOf(call).pending.push({ at, offset, bytes: null });
    else if (kind === "s") sync(call);
    else if (kind === "r" || kind === "l") move(at, call, kind === "l");
    else if (kind === "u") remove(at, bytes.toString());
    else if (kind === "m") folders.add(bytes.toString());
    else if (kind === "d") folders.delete(bytes.toString());
    else throw new Error(`the recorder saw a call that cannot be replayed: ${bytes.toString()}`);
  };

  return {
    advance: (at) => {
      for (; next < at; next += 1) {
        const call = calls[next];
        if (call) apply(next, call);
      }
    },
    folders: () => [...folders],
    files: (crash, random) => {
      const first = Math.min(
        ...[...now.values(), ...durable.values()].flatMap(({ pending }) => pending[0]?.at ?? []),
        ...unsynced.map(({ at }) => at),
        next,
      );
      // One moment for all files: what lies before it is there, what lies behind it is not.
      const until = crash.kept === "prefix" ? first + random(next - first + 1) : next;
      const names =
        crash.names === "at-once" || crash.kept === "everything" ? now : new Map(durable);
      if (names !== now) applyNames(names, unsynced, { crash, until, random });
      return new Map(
        [...names].map(([path, file]) => [path, contentOf(file, { crash, until, random })]),
      );
    },
  };
}

type Choice = { crash: Crash; until: number; random: (below: number) => number };

/** Names of one folder change in their order, as a journal writes them. */
function applyNames(
  names: Names,
  unsynced: readonly Naming[],
  { crash, until, random }: Choice,
): void {
  if (crash.kept === "nothing") return;
  const stopped = new Set<string>();
  for (const naming of unsynced) {
    if (crash.kept === "prefix" ? naming.at >= until : random(3) === 0) stopped.add(naming.folder);
    if (!stopped.has(naming.folder)) naming.apply(names);
  }
}

function contentOf(file: File, { crash, until, random }: Choice): Uint8Array {
  if (crash.kept === "nothing" || file.pending.length === 0) return contentBytes(file.durable);
  const content = copyBytes(file.durable);
  for (const change of file.pending) {
    if (crash.kept === "prefix" && change.at >= until) break;
    if (crash.kept === "sectors") applySectors(content, change, random);
    else applyChange(content, change);
  }
  return contentBytes(content);
}

/** Each sector of a write, or the truncation, is on the disk or not. */
function applySectors(content: Bytes, change: Change, random: (below: number) => number): void {
  const { at, offset, bytes } = change;
  if (bytes === null) {
    if (random(2) === 0) applyChange(content, change);
    return;
  }
  for (let from = 0; from < bytes.length;) {
    const length = sectorBytes - ((offset + from) % sectorBytes);
    const part = bytes.subarray(from, from + length);
    if (random(2) === 0) applyChange(content, { at, offset: offset + from, bytes: part });
    from += length;
  }
}

/** Bytes that grow. */
type Bytes = { held: Buffer; length: number };

const emptyBytes = (): Bytes => ({ held: Buffer.alloc(0), length: 0 });
const copyBytes = ({ held, length }: Bytes): Bytes => ({
  held: Buffer.from(held.subarray(0, length)),
  length,
});
const contentBytes = ({ held, length }: Bytes): Uint8Array => held.subarray(0, length);

function applyChange(content: Bytes, { offset, bytes }: Change): void {
  const end = bytes === null ? offset : offset + bytes.length;
  if (end > content.held.length) {
    const grown = Buffer.alloc(Math.max(end, content.held.length * 2));
    content.held.copy(grown, 0, 0, content.length);
    content.held = grown;
  }
  // What lies between the old and the new end is zero; so is what was cut off and comes back.
  if (bytes === null && end < content.length) content.held.fill(0, end, content.length);
  content.length = bytes === null ? end : Math.max(content.length, end);
  if (bytes !== null) bytes.copy(content.held, offset);
}
