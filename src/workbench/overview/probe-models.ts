import type { Notice } from "#base/errors/index.ts";
import type { Workers } from "#base/workers/index.ts";
import type { Embeddings } from "#engine/embeddings/index.ts";
import type { Search } from "#workbench/search/index.ts";
import type { Finding } from "./measure-health.ts";

/** A word that every model has tokens for. */
const probeWord = "health";

/** Embeds one word in the default space. An overloaded or late worker is busy, not broken. */
export async function probeDefaultSpace(
  embeddings: Embeddings,
  signal: AbortSignal,
): Promise<Finding> {
  const space = await embeddings.space();
  const [item] = await embeddings.embed(space, [probeWord], { kind: "query", signal });
  if (item === undefined) return { state: "failed", detail: `${space.name} gave no answer` };
  if ("error" in item) throw item.error;
  return {
    state: "ok",
    detail: `${space.name} (${space.id}), ${space.dims} dims: embedded a word`,
  };
}

/** Looks one word up in the keyword index of every collection. */
export async function probeSearch(search: Search, signal: AbortSignal): Promise<Finding> {
  const notices: Notice[] = [];
  const { answer } = await search.query(
    { principal: "local", read: "all", write: [] },
    { query: probeWord, mode: "keyword", limit: 1 },
    null,
    { signal, notice: (notice) => notices.push(notice) },
  );
  const failed = answer.legs.find(({ state }) => state === "failed");
  const { collections, chunks } = answer.searched;
  if (failed)
    return { state: "degraded", detail: `the ${failed.name} leg failed: ${failed.reason}` };
  return {
    state: "ok",
    detail: `looked a word up in ${collections} collections, ${chunks} chunks`,
  };
}

/** What the threads have shown so far: a fault after the last answer means that a pool has not worked since. */
export function probeWorkers(workers: Workers): Finding {
  const pools = workers.status();
  const broken = pools.filter(
    ({ lastFault, lastAnswerAt }) => lastFault !== null && lastFault.at > (lastAnswerAt ?? 0),
  );
  const threads = pools.reduce((sum, pool) => sum + pool.threads, 0);
  const restarts = pools.reduce((sum, pool) => sum + pool.restarts, 0);
  const detail = `${pools.length} pools, ${threads} threads, ${restarts} restarts`;
  if (broken.length > 0)
    return {
      state: "degraded",
      detail: `${detail}; ${broken.map(({ name, lastFault }) => `${name}: ${lastFault?.message}`).join("; ")}`,
    };
  if (pools.every(({ lastAnswerAt }) => lastAnswerAt === null))
    return { state: "unknown", detail: `${detail}; none was needed yet` };
  return { state: "ok", detail };
}
