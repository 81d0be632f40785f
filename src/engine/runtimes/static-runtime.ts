import { resolve } from "node:path";
import { type CandorError, ModelInvalidError, reviveError } from "#base/errors/index.ts";
import { type PoolStatus, taskUrl, type WorkerPool, type Workers } from "#base/workers/index.ts";
import type { EmbeddedBatch, TextRole } from "./embed-texts.ts";
import type { StaticModelDescription } from "./load-static-model.ts";
import type { TokenPairs } from "./token-pairs.ts";

/** Memory of one thread: a table of 8 MB with its tokenizer takes about 50 MB, the rest is for texts. */
const usualMegabytes = 384;

/** A thread without work for this long ends; loading the default model again takes 0.2 s. */
const usualIdleMs = 120_000;

/** One call may take this long: a thousand texts of 500 tokens take about a second. */
const usualCallLimitMs = 60_000;

/** Pairs listed when the caller does not say. */
const usualPairs = 50;

/** One text's outcome: `error` is set when it has no vector. */
export type StaticEmbeddedItem = {
  readonly tokens: number;
  readonly truncated: { readonly tokens: number; readonly limit: number } | null;
  readonly error: CandorError | null;
};

export type StaticEmbeddedBatch = {
  /** The revision of the model that made the vectors. */
  readonly revision: string;
  /** [texts, dims], unit rows; NaN in the row of an item with an error. */
  readonly vectors: Float32Array<ArrayBuffer>;
  readonly items: readonly StaticEmbeddedItem[];
};

export type CallOptions = { readonly signal?: AbortSignal | undefined };

/**
 * One static model in worker threads. Every call may reject with what loading can throw (`ModelFileMissingError`,
 * `ModelInvalidError`, `TokenizerInvalidError`) and what workers can (`base/workers`). After a repair of the files the
 * next call works. All answers come from one revision: files that are exchanged in between give `ModelInvalidError`.
 */
export type OpenStaticModel = {
  describe(options?: CallOptions): Promise<StaticModelDescription>;
  /** Embeds each text with the model's prefix for `role`; per item `TextWithoutTokensError` or `EmbeddingInferenceError`. */
  embed(
    texts: readonly string[],
    role: TextRole,
    options?: CallOptions,
  ): Promise<StaticEmbeddedBatch>;
  /** The parts of the cosine of a query and a passage, `limit` (default 50) of them listed. */
  explainPairs(
    query: string,
    passage: string,
    options?: CallOptions & { readonly limit?: number },
  ): Promise<TokenPairs>;
  /** Tokens of each text, without prefix, not cut. */
  countTokens(texts: readonly string[], options?: CallOptions): Promise<readonly number[]>;
  status(): PoolStatus;
  dispose(): Promise<void>;
};

export type StaticRuntime = {
  /** The model in `folder` (format candor-static-1). Nothing is read before its first call. One folder, one handle. */
  open(folder: string): OpenStaticModel;
  /** Ends the threads of all its models; may be called twice. */
  dispose(): Promise<void>;
};

/** The runtime of token tables. `threads` is the most threads for one model; each holds a copy of it. */
export function createStaticRuntime(dependencies: {
  workers: Workers;
  threads: number;
  /** Megabytes that one thread may use, heap and buffers. */
  threadMegabytes?: number;
  idleMs?: number;
  callLimitMs?: number;
}): StaticRuntime {
  const { workers, threads } = dependencies;
  const models = new Map<string, OpenStaticModel>();
  return {
    open(folder) {
      const path = resolve(folder);
      const known = models.get(path);
      if (known !== undefined) return known;
      const pool = workers.pool({
        name: `static:${path}`,
        task: taskUrl(import.meta.url, "engine/runtimes/static-task.ts"),
        size: threads,
        memoryMegabytes: dependencies.threadMegabytes ?? usualMegabytes,
        idleMs: dependencies.idleMs ?? usualIdleMs,
        openData: { folder: path },
      });
      const callLimitMs = dependencies.callLimitMs ?? usualCallLimitMs;
      const model = openModel({ path, pool, callLimitMs }, () => models.delete(path));
      models.set(path, model);
      return model;
    },
    async dispose() {
      await Promise.all([...models.values()].map((model) => model.dispose()));
    },
  };
}

function openModel(
  { path, pool, callLimitMs }: { path: string; pool: WorkerPool; callLimitMs: number },
  onDispose: () => void,
): OpenStaticModel {
  let pinned: string | undefined;
  const call = async <T>(
    method: string,
    input: unknown,
    options: CallOptions,
  ): Promise<{ revision: string; value: T }> => {
    const answer = await pool.run<{ revision: string; value: T }>(method, input, {
      signal: options.signal,
      timeoutMs: callLimitMs,
    });
    pinned ??= answer.revision;
    if (answer.revision !== pinned)
      throw new ModelInvalidError(
        `${path} was exchanged while in use: it was ${pinned}, now it is ${answer.revision}. Restart to use it.`,
        { details: { was: pinned, is: answer.revision } },
      );
    return answer;
  };
  return {
    async describe(options = {}) {
      return (await call<StaticModelDescription>("describe", null, options)).value;
    },
    async embed(texts, role, options = {}) {
      const { revision, value } = await call<EmbeddedBatch>("embed", { texts, role }, options);
      const items = value.items.map((item) => ({
        ...item,
        error: item.error === null ? null : reviveError(item.error),
      }));
      return { revision, vectors: value.vectors, items };
    },
    async explainPairs(query, passage, { limit = usualPairs, ...options } = {}) {
      const input = { query, passage, limit };
      return (await call<TokenPairs>("explainPairs", input, options)).value;
    },
    async countTokens(texts, options = {}) {
      return (await call<readonly number[]>("countTokens", { texts }, options)).value;
    },
    status: () => pool.status(),
    async dispose() {
      onDispose();
      await pool.dispose();
    },
  };
}
