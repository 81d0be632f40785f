import { readFile, stat } from "node:fs/promises";
import { basename, isAbsolute, relative, resolve, sep } from "node:path";
import {
  CancelledError,
  DocumentTooLargeError,
  FileMissingError,
  FileUnreadableError,
  InputInvalidError,
} from "#base/errors/index.ts";
import type { Operation } from "#operations/define-operation.ts";
import { all, one, parameter, type CliCommand, type Context, type Typed } from "./command.ts";
import { exitOfAnswer, exitOfFailure, problemOfFailure, type Exit } from "./exit-codes.ts";
import { print } from "./operation-command.ts";
import { toParameters } from "./parameters.ts";
import { renderFailure } from "./render-outcome.ts";
import { sendForm, type Answer } from "./send.ts";
import { showSafely } from "./terminal.ts";

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
