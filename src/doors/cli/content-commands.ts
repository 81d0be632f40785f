import { readFile, stat } from "node:fs/promises";
import { basename, isAbsolute, relative, resolve, sep } from "node:path";
import {
  AlreadyExistsError,
  CancelledError,
  DocumentTooLargeError,
  FileMissingError,
  FileUnreadableError,
  InputInvalidError,
  NotFoundError,
  type Notice,
} from "#base/errors/index.ts";
import type { Operation } from "#operations/index.ts";
import { all, one, parameter, type CliCommand, type Context, type Typed } from "./command.ts";
import { exitOfAnswer, exitOfFailure, problemOfFailure, type Exit } from "./exit-codes.ts";
import { print, runJobCommand, toFields, waitParameter } from "./operation-command.ts";
import { parsePattern, toParameters } from "./parameters.ts";
import { renderFailure } from "./render-outcome.ts";
import { renderSearch, type Hit } from "./render-search.ts";
import { ask, operationNamed, sayNotice, type Answer, sendForm } from "./send.ts";
import { showSafely } from "./terminal.ts";

/** `candor index PATH --collection NAME`: creates the collection when it is missing, then syncs it with the folder. */
export function indexCommand(sync: Operation): CliCommand {
  const own = ["path", "collection", "space"];
  const shared = toParameters(sync).filter(({ field }) => !own.includes(field));
  return {
    words: ["index"],
    summary:
      "Index a folder into a collection, created when it is missing; again, to bring it up to date",
    parameters: [
      parameter("path", "The folder", { place: "argument" }),
      parameter("collection", "Name of the collection", { required: true }),
      parameter("space", "Embedding space of a new collection; the default one without"),
      ...shared,
      waitParameter,
    ],
    kind: "composed",
    operation: null,
    examples: [
      "candor index ./docs --collection handbook",
      "candor index . --collection code --include '**/*.ts' --exclude 'dist/**'",
    ],
    run: (context, typed) => runIndex(context, sync, typed),
  };
}

async function runIndex(context: Context, sync: Operation, typed: Typed) {
  const { space, ...rest } = typed;
  const collection = one(typed, "collection") ?? "";
  const wanted = typeof space === "string" ? space : undefined;
  const folder = resolve(context.workingDirectory, one(typed, "path") ?? "");
  await checkFolder(folder);
  const created = await ensureCollection(context, collection, wanted);
  const fields = toFields(sync, { ...rest, path: folder });
  const answer = await ask(context, sync.name, fields);
  const notices = [...(created === null ? [] : [created]), ...(answer.notices ?? [])];
  return runJobCommand(context, { ...answer, ...(notices.length > 0 && { notices }) }, typed);
}

/** No collection is made for a folder that is not there. */
async function checkFolder(folder: string): Promise<void> {
  try {
    await stat(folder);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new FileMissingError(`${folder} cannot be read: ${reason}`, { cause: thrown });
  }
}

/** The notice that the collection was created, or null when it was there. Raises InputInvalidError when it is in another space. */
async function ensureCollection(
  context: Context,
  name: string,
  space: string | undefined,
): Promise<Notice | null> {
  const before = await findCollection(context, name);
  if (before === null) {
    try {
      const made = await ask(context, "collections.create", { name, ...(space && { space }) });
      const message = `The collection "${name}" did not exist and was created in the space ${spaceOf(made).name}.`;
      sayNotice(context, message);
      return { code: "collection_created", message };
    } catch (thrown) {
      if (!(thrown instanceof AlreadyExistsError)) throw thrown; // somebody else was faster
    }
  }
  const found = spaceOf(before ?? (await ask(context, "collections.get", { collection: name })));
  if (space !== undefined && space !== found.id && space !== found.name)
    throw new InputInvalidError(
      `The collection "${name}" is in the space ${found.name}; --space holds for new collections only.`,
      { errors: [{ pointer: "/space", message: `the collection is in the space ${found.name}` }] },
    );
  return null;
}

async function findCollection(context: Context, collection: string): Promise<Answer | null> {
  try {
    return await ask(context, "collections.get", { collection });
  } catch (thrown) {
    if (thrown instanceof NotFoundError) return null;
    throw thrown;
  }
}

function spaceOf(collection: Answer): { id: string; name: string } {
  return collection["space"] as { id: string; name: string };
}

/** Largest file that is read at all: no server can be set to take more (`server.bodyLimitMegabytes`). */
const largestBytes = 100 * 1024 * 1024;

/** Fields of the operation that the files themselves fill. */
const filled = ["content", "file"];

/** `candor add FILE… --collection NAME`: each file as one document, sent by this command, wherever the server runs. */
export function addCommand(add: Operation): CliCommand {
  return {
    words: ["add"],
    summary:
      "Add files to a collection, each as one document; the same content again changes nothing",
    parameters: [
      parameter("files", "The files", { place: "argument", repeated: true }),
      ...toParameters(add).filter(({ field }) => !filled.includes(field)),
    ],
    kind: "operation",
    operation: add,
    examples: ["candor add notes.md report.html --collection handbook"],
    run: (context, typed) => runAdd(context, add, typed),
  };
}

async function runAdd(context: Context, add: Operation, typed: Typed): Promise<Exit> {
  const files = all(typed, "files");
  const ofOne = ["key", "title"].filter((field) => typed[field] !== undefined);
  if (files.length > 1 && ofOne.length > 0)
    throw new InputInvalidError(`${ofOne.join(" and ")} can be given for one file only.`, {
      errors: ofOne.map((field) => ({ pointer: `/${field}`, message: "is for one file" })),
    });
  const [only] = files;
  if (files.length === 1 && only !== undefined) {
    const answer = await addFile(context, add, only, typed);
    print(context, answer, () => showAdded(answer));
    return "ok";
  }
  return addFiles(context, add, files, typed);
}

/** Several files as a bulk: one that fails is said and counted, the others go on. */
async function addFiles(
  context: Context,
  add: Operation,
  files: readonly string[],
  typed: Typed,
): Promise<Exit> {
  const { err } = context.terminal;
  const items: object[] = [];
  const errors: object[] = [];
  const shown: string[] = [];
  const exits: Exit[] = [];
  for (const file of files) {
    try {
      const answer = await addFile(context, add, file, typed);
      const { document, outcome, chunks } = answer as unknown as Added;
      items.push({
        index: items.length + errors.length,
        key: document.key,
        document,
        outcome,
        chunks,
      });
      shown.push(showAdded(answer));
    } catch (thrown) {
      if (thrown instanceof CancelledError) throw thrown;
      const problem = problemOfFailure(thrown);
      const ledgerId = problem.instance?.replace("urn:candor:", "") ?? null;
      err.line(`${showSafely(file)}: ${renderFailure(problem, null, err)}`);
      errors.push({ item: file, code: problem.code, message: problem.detail, ledgerId });
      exits.push(exitOfFailure(thrown));
    }
  }
  const bulk = { done: items.length, failed: errors.length, skipped: 0, items, errors };
  print(context, bulk, () => [...shown, `${bulk.done} done, ${bulk.failed} failed`].join("\n"));
  // All refused for one reason is that reason; a mixture is told by the counts.
  const [first] = exits;
  const isSame = items.length === 0 && exits.every((exit) => exit === first);
  return isSame && first !== undefined ? first : exitOfAnswer(bulk);
}

type Added = { document: { key: string }; outcome: string; chunks: number };

function showAdded(answer: Answer): string {
  const { document, outcome, chunks } = answer as unknown as Added;
  return `${outcome}: ${showSafely(document.key)} (${chunks} chunks)`;
}

async function addFile(
  context: Context,
  add: Operation,
  file: string,
  typed: Typed,
): Promise<Answer> {
  const path = resolve(context.workingDirectory, file);
  const form = new FormData();
  form.set("key", one(typed, "key") ?? keyOf(context.workingDirectory, path));
  for (const { field, place } of toParameters(add)) {
    const value = one(typed, field);
    if (place === "option" && value !== undefined && !["key", "collection"].includes(field))
      form.set(field, value);
  }
  form.set("file", new Blob([await readWhole(path)]), basename(path));
  return sendForm(context, add.name, { collection: one(typed, "collection") }, form);
}

/** The path below the working directory as keys are written, with slashes; a file elsewhere by its name. */
function keyOf(workingDirectory: string, path: string): string {
  const below = relative(workingDirectory, path);
  const isBelow = below !== "" && below.split(sep)[0] !== ".." && !isAbsolute(below);
  return isBelow ? below.split(sep).join("/") : basename(path);
}

async function readWhole(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const { size } = await stat(path);
    if (size > largestBytes)
      throw new DocumentTooLargeError(
        `${path} has ${size} bytes; a document has at most ${largestBytes}.`,
      );
    return new Uint8Array(await readFile(path));
  } catch (thrown) {
    if (!(thrown instanceof Error) || !("code" in thrown) || "definition" in thrown) throw thrown;
    const Failure = thrown.code === "ENOENT" ? FileMissingError : FileUnreadableError;
    throw new Failure(`${path} cannot be read: ${thrown.message}`, { cause: thrown });
  }
}

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
