import { InputInvalidError } from "#base/errors/index.ts";
import type { Operation } from "#operations/index.ts";
import { one, parameter, type CliCommand, type Context, type Typed } from "./command.ts";
import { print, toFields } from "./operation-command.ts";
import { parsePattern, toParameters } from "./parameters.ts";
import { renderSearch, type Hit } from "./render-search.ts";
import { ask, operationNamed, type Answer } from "./send.ts";

/** What changes the candidates and is unknown to `search.explain`: an explanation would be of another search. */
const unexplained = ["context", "filter"];

/** `candor search QUERY [--why]`: the query, and with `--why` an explanation of each hit. */
export function searchCommand(search: Operation): CliCommand {
  return {
    words: parsePattern(search.cli?.command ?? "search").words,
    summary: search.summary,
    parameters: [
      ...toParameters(search),
      parameter("why", "Explain each hit: the part of every word and word pair", {
        kind: "switch",
        standard: "false",
      }),
    ],
    kind: "composed",
    operation: search,
    examples: [
      'candor search "how do I restore a backup" --collection handbook',
      'candor search "restore" --mode keyword --limit 3 --why',
      "candor search backups --json | jq '.items[].key'",
    ],
    run: (context, typed) => runSearch(context, search, typed),
  };
}

async function runSearch(context: Context, search: Operation, typed: Typed) {
  const { why, ...rest } = typed;
  const fields = toFields(search, rest);
  const refused = unexplained.filter((name) => why === "true" && fields[name] !== undefined);
  if (refused.length > 0)
    throw new InputInvalidError(`--why explains searches without ${refused.join(" and ")}.`, {
      errors: refused.map((name) => ({
        pointer: `/${name}`,
        message: "cannot be explained: leave it out, or leave out --why",
      })),
    });
  const answer = await ask(context, search.name, fields);
  const hits = answer["items"] as readonly Hit[];
  const explanations = new Map<string, Answer>();
  if (one(typed, "why") === "true")
    for (const { chunk } of hits) explanations.set(chunk, await explain(context, fields, chunk));
  const shown =
    explanations.size === 0
      ? answer
      : { ...answer, items: hits.map((hit) => ({ ...hit, why: explanations.get(hit.chunk) })) };
  const names = context.json ? new Map<string, string>() : await collectionNames(context, hits);
  print(context, shown, (output) => renderSearch(answer, { names, explanations }, output));
  return "ok" as const;
}

async function explain(
  context: Context,
  { query, collections, mode, weight }: Readonly<Record<string, unknown>>,
  chunk: string,
): Promise<Answer> {
  const {
    requestId: _id,
    tookMs: _time,
    ...explanation
  } = await ask(context, "search.explain", {
    query,
    collections,
    mode,
    weight,
    chunk,
  });
  return explanation;
}

/** Names by id, where hits of several collections stand beside each other. */
async function collectionNames(
  context: Context,
  hits: readonly Hit[],
): Promise<ReadonlyMap<string, string>> {
  const ids = [...new Set(hits.map(({ collection }) => collection))];
  const names = new Map<string, string>();
  if (ids.length < 2) return names;
  const get = operationNamed(context, "collections.get").name;
  for (const id of ids) {
    const { name } = await ask(context, get, { collection: id });
    names.set(id, String(name));
  }
  return names;
}
