import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { ModelFileMissingError, ModelInvalidError } from "#base/errors/index.ts";

/** The file of a model folder that holds the checksums of the others, as `sha256sum` writes it. */
const checksumFile = "SHA256SUMS";

/** Largest files that are read, bytes: the table of a static model has 8 to 130 MB, its tokenizer at most 20 MB. */
const largestFile = 512 * 2 ** 20;

/** The files of one model folder with the checksums they must have. */
export type ModelFolder = {
  /** The folder's own name, for messages and as the model's name. */
  readonly name: string;
  readonly path: string;
  readonly checksums: ReadonlyMap<string, string>;
};

/** A file's bytes and their sha256 (hex). */
export type ModelFile = { readonly bytes: Uint8Array; readonly sha256: string };

/**
 * Opens a model folder by its checksum file. Throws `ModelFileMissingError` when there is none and
 * `ModelInvalidError` when it is not of the form `<sha256>  <name>`.
 */
export function openModelFolder(path: string): ModelFolder {
  const text = new TextDecoder().decode(readBytes(path, checksumFile));
  const checksums = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, sha256, name] = /^([0-9a-f]{64}) [ *](\S+)$/.exec(line) ?? [];
    if (sha256 === undefined || name === undefined)
      throw new ModelInvalidError(
        `${join(path, checksumFile)}: "${line}" is not a line of the form "<sha256>  <file>"`,
      );
    checksums.set(name, sha256);
  }
  return { name: basename(path), path, checksums };
}

/**
 * Reads one file of the folder and compares its checksum. Throws `ModelFileMissingError`, or what `invalid` makes of
 * the reason when the file is not the one that the checksums name.
 */
export function readModelFile(
  folder: ModelFolder,
  name: string,
  invalid: (reason: string) => Error = (reason) => new ModelInvalidError(reason),
): ModelFile {
  const bytes = readBytes(folder.path, name);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const expected = folder.checksums.get(name);
  if (expected === undefined)
    throw invalid(`${join(folder.path, checksumFile)} has no checksum of ${name}`);
  if (sha256 !== expected)
    throw invalid(
      `${join(folder.path, name)} is damaged: its sha256 is ${sha256}, ${checksumFile} says ${expected}`,
    );
  return { bytes, sha256 };
}

function readBytes(folder: string, name: string): Uint8Array {
  const path = join(folder, name);
  try {
    const { size } = statSync(path);
    if (size > largestFile)
      throw new ModelInvalidError(`${path} has ${size} bytes, the limit is ${largestFile}`);
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT")
      throw new ModelFileMissingError(`${path} is missing`, { cause, details: { file: name } });
    if (cause instanceof ModelInvalidError) throw cause;
    throw new ModelInvalidError(`${path} cannot be read`, { cause, details: { file: name } });
  }
}
