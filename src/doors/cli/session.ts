import { setTimeout as delay } from "node:timers/promises";
import {
  CancelledError,
  CandorError,
  DataDirectoryInUseError,
  ServerUnreachableError,
} from "#base/errors/index.ts";
import {
  call,
  isProcessAlive,
  readServerFile,
  stream,
  type LoopbackEvent,
  type LoopbackReply,
  type LoopbackRequest,
  type LoopbackServer,
} from "#base/network/index.ts";

/** The engine opened in this process, listening on a loopback port. */
export type Engine = { readonly url: string; readonly key: string; close(): Promise<void> };

/** A command's way to the one process that owns the data directory, whichever that is. */
export type Session = {
  /** Sends a request. When the owner goes away in between, to the next one: requests that change something carry an Idempotency-Key. */
  call(request: LoopbackRequest): Promise<LoopbackReply>;
  /** The events of a stream until it ends or breaks; the next call finds the next owner. */
  stream(
    request: LoopbackRequest,
    refused: (reply: LoopbackReply) => never,
  ): AsyncGenerator<LoopbackEvent>;
  /** Whether this process is the owner, so that work stops with it. */
  ownsEngine(): boolean;
  close(): Promise<void>;
};

export type SessionOptions = {
  /** `run` in the data directory. */
  readonly runFolder: string;
  /** Raises DataDirectoryInUseError while another process is the owner. */
  openEngine(): Promise<Engine>;
  /** Says what this waits for, when that takes a while. */
  say(text: string): void;
  /** Called once with the version of a running server. */
  onVersion(version: string): void;
  readonly signal: AbortSignal;
};

/** How long an owner may take to start or to end, in milliseconds; the longest honest start is a migration. */
const ownerMs = 60_000;

/** Time between two looks for the owner, in milliseconds. */
const lookEveryMs = 100;

/** After this long a person should know what is waited for, in milliseconds. */
const sayAfterMs = 2_000;

type State = {
  options: SessionOptions;
  server: LoopbackServer | null;
  engine: Engine | null;
  /** Keys of servers that went away; their files may lie there for a moment. */
  gone: Set<string>;
};

/** Opens nothing yet: the first request looks for the owner, or becomes it. */
export function createSession(options: SessionOptions): Session {
  const state: State = { options, server: null, engine: null, gone: new Set() };
  return {
    call: (request) => callOwner(state, request),
    stream: async function* (request, refused) {
      const server = await owner(state);
      try {
        yield* stream(server, request, refused);
      } catch (thrown) {
        if (thrown instanceof ServerUnreachableError) leave(state, server);
        throw thrown;
      }
    },
    ownsEngine: () => state.engine !== null,
    close: async () => {
      const { engine } = state;
      state.engine = null;
      state.server = null;
      await engine?.close();
    },
  };
}

async function callOwner(state: State, request: LoopbackRequest): Promise<LoopbackReply> {
  for (;;) {
    const server = await owner(state);
    try {
      const reply = await call(server, request);
      // The key of a server that was replaced since its file was read.
      const stale =
        reply.status === 401 && state.engine === null && (await isReplaced(state, server));
      if (!stale) return reply;
    } catch (thrown) {
      const lost = thrown instanceof ServerUnreachableError && state.engine === null;
      if (!lost) throw thrown;
    }
    leave(state, server);
  }
}

async function isReplaced(state: State, server: LoopbackServer): Promise<boolean> {
  const file = await readServerFile(state.options.runFolder);
  return file?.key !== server.key;
}

function leave(state: State, server: LoopbackServer): void {
  if (state.engine !== null) return;
  state.gone.add(server.key);
  state.server = null;
}

/** The server of the data directory: the running one, or this process when there is none. */
async function owner(state: State): Promise<LoopbackServer> {
  if (state.server !== null) return state.server;
  const { options } = state;
  const began = performance.now();
  let said = false;
  for (;;) {
    if (options.signal.aborted) throw new CancelledError("Cancelled.");
    const file = await readServerFile(options.runFolder);
    if (file !== null && !state.gone.has(file.key) && isProcessAlive(file.pid)) {
      options.onVersion(file.version);
      state.server = file;
      return file;
    }
    const opened = await tryToOpen(options);
    if (!(opened instanceof CandorError)) {
      state.engine = opened;
      state.server = opened;
      return opened;
    }
    const waited = performance.now() - began;
    if (waited > ownerMs)
      throw new ServerUnreachableError(
        `Another process${file === null ? "" : ` (${file.pid})`} owns the data directory and has not answered for ${ownerMs / 1000} s.`,
        { cause: opened, nextStep: { text: "End that process, or try again later." } },
      );
    if (waited > sayAfterMs && !said) {
      said = true;
      options.say("waiting for another Candor process that is starting or ending");
    }
    await delay(lookEveryMs);
  }
}

/** The engine, or the error that another process has it. */
async function tryToOpen(options: SessionOptions): Promise<Engine | CandorError> {
  try {
    return await options.openEngine();
  } catch (thrown) {
    if (thrown instanceof DataDirectoryInUseError) return thrown;
    throw thrown;
  }
}
