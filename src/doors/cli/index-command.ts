import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import {
  AlreadyExistsError,
  FileMissingError,
  InputInvalidError,
  NotFoundError,
  type Notice,
} from "#base/errors/index.ts";
import type { Operation } from "#operations/define-operation.ts";
import { one, parameter, type CliCommand, type Context, type Typed } from "./command.ts";
import { runJobCommand, toFields, waitParameter } from "./operation-command.ts";
import { toParameters } from "./parameters.ts";
import { ask, sayNotice, type Answer } from "./send.ts";

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
