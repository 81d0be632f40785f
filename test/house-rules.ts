import { posix } from "node:path";
import type { Node } from "web-tree-sitter";
import { findNodes } from "./parse-typescript.ts";

/** A source file of the repository, its path relative to the root and with slashes. */
export type SourceFile = { readonly path: string; readonly text: string };

type Parse = (text: string) => Node;

/** Where a file stands: the room it belongs to, and the room's place in the order of the house. */
type Place = { readonly room: string; readonly rank: number };

/** What may stand deeper than floor/room/file: files that a browser gets. */
const deeperFolders = ["src/doors/http/pages/"];

/** Folders inside a room, with their reason in docs/decisions: each has as many files as a room may have, beside the room's own. */
const foldersOfRooms = ["src/doors/http/openapi/"];

/** The table of operations is as long as there are operations. */
const longIndex = "src/operations/index.ts";

const mostIndexLines = 40;
const mostLines = 400;
const fewestFiles = 3;
const mostFiles = 20;

/** Names that say nothing of what is inside, as a whole name or as its last word. */
const emptyNames =
  /^(?:utils?|helpers?|types?|common|shared|core|lib|misc|.+-(?:utils?|helpers?|manager|service|impl))$/;

/**
 * Every breach of the house rules, as `path:line: what is wrong`. `house` is the list of floors with their rooms, first
 * to last; a room may import only what stands before it.
 */
export function findFaults(
  house: readonly string[],
  files: readonly SourceFile[],
  parse: Parse,
): string[] {
  const order = roomOrder(house);
  return [
    ...files.flatMap((file) => [
      ...nameFaults(file),
      ...sizeFaults(file),
      ...syntaxFaults(order, file, parse(file.text)),
    ]),
    ...roomFaults(order, files),
  ];
}

/** `floor/room`, or the floor alone where it has no rooms, in the order of the house. */
function roomOrder(house: readonly string[]): string[] {
  return house.flatMap((line) => {
    const [floor = "", rooms = ""] = line.split(":");
    const names = rooms.split(" ").filter((name) => name !== "");
    return names.length === 0 ? [floor] : names.map((name) => `${floor}/${name}`);
  });
}

/** The place of a file below `src/`, or null for one outside it. A capability of operations is a room of its own. */
function placeOf(order: readonly string[], path: string): Place | null {
  const inside = /^src\/(.+)$/.exec(path)?.[1];
  if (inside === undefined) return null;
  const [floor = "", second = "", third] = inside.replace(/\.ts$/, "").split("/");
  if (floor === "operations") {
    const room = third === undefined ? floor : `${floor}/${second}`;
    return { room, rank: order.indexOf(floor) };
  }
  const room = order.includes(floor) ? floor : `${floor}/${second}`;
  return { room, rank: order.indexOf(room) };
}

function roomFaults(order: readonly string[], files: readonly SourceFile[]): string[] {
  const counts = new Map<string, number>();
  const rooms = new Set<string>();
  const faults: string[] = [];
  for (const { path } of files) {
    const place = placeOf(order, path);
    if (place === null) continue;
    const { room, rank } = place;
    rooms.add(room);
    if (rank < 0) faults.push(`${path}:1: src/${room} is no room of the house`);
    const depth = path.split("/").length - 1;
    const inBrowser = deeperFolders.some((folder) => path.startsWith(folder));
    const folder = foldersOfRooms.find((each) => path.startsWith(each));
    const mostDepth = folder === undefined ? 3 : folder.split("/").length - 1;
    if (depth > mostDepth && !inBrowser) faults.push(`${path}:1: deeper than floor/room/file`);
    const counted = folder === undefined ? room : folder.replace(/^src\/|\/$/g, "");
    if (!isTest(path) && !inBrowser) counts.set(counted, (counts.get(counted) ?? 0) + 1);
  }
  for (const room of order) if (!rooms.has(room)) faults.push(`src/${room}:1: the room is empty`);
  for (const [room, count] of counts) {
    if (room === "app" || rooms.size === 0) continue;
    // A capability is as small as its operations are few: its files are named by the operation table.
    const fewest = room.startsWith("operations/") ? 1 : fewestFiles;
    if (count < fewest || count > mostFiles)
      faults.push(`src/${room}:1: ${count} files; a room has ${fewest} to ${mostFiles}`);
  }
  return faults;
}

function nameFaults({ path }: SourceFile): string[] {
  return path
    .split("/")
    .map((part) => part.replace(/(?:\.test)?\.[a-z]+$/, ""))
    .filter((name) => emptyNames.test(name))
    .map((name) => `${path}:1: "${name}" does not say what is inside`);
}

function sizeFaults({ path, text }: SourceFile): string[] {
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  const isIndex = path.startsWith("src/") && path.endsWith("/index.ts") && path !== longIndex;
  return [
    ...(lines > mostLines ? [`${path}:${lines}: ${lines} lines, at most ${mostLines}`] : []),
    ...(isIndex && lines > mostIndexLines
      ? [`${path}:${lines}: an index.ts of ${lines} lines, at most ${mostIndexLines}`]
      : []),
  ];
}

function syntaxFaults(order: readonly string[], { path, text }: SourceFile, root: Node): string[] {
  const at = (node: Node, what: string) => `${path}:${node.startPosition.row + 1}: ${what}`;
  return [
    ...importFaults(order, path, root, at),
    ...(path.startsWith("src/") && !isTest(path) ? processFaults(path, root, at) : []),
    ...(isTest(path) || path.startsWith("test/") || !/catch/.test(text)
      ? []
      : catchFaults(root, at)),
  ];
}

type At = (node: Node, what: string) => string;

function importFaults(order: readonly string[], path: string, root: Node, at: At): string[] {
  const from = placeOf(order, path);
  return importedNames(root).flatMap((node) => {
    const wrong = importFault(order, path, from, node.text.slice(1, -1));
    return wrong === null ? [] : [at(node, wrong)];
  });
}

/** The module names of imports, exports from elsewhere, dynamic imports and types of modules. */
function importedNames(root: Node): Node[] {
  const statements = findNodes(root, "import_statement", "export_statement").flatMap((node) => {
    const source = node.childForFieldName("source");
    return source === null ? [] : [source];
  });
  const calls = findNodes(root, "call_expression").flatMap((node) => {
    const first = node.childForFieldName("arguments")?.namedChild(0);
    return node.childForFieldName("function")?.type === "import" && first ? [first] : [];
  });
  return [...statements, ...calls];
}

function importFault(
  order: readonly string[],
  path: string,
  from: Place | null,
  name: string,
): string | null {
  const isRelative = name.startsWith(".");
  if (!isRelative && !name.startsWith("#")) return null;
  const target = isRelative
    ? posix.join(posix.dirname(path), name)
    : `src/${name === "#app" ? "app.ts" : name.slice(1)}`;
  const to = placeOf(order, target);
  if (to === null)
    return from === null || isTest(path)
      ? null
      : `${name} is outside src/: nothing there is shipped`;
  // Tests, benches and scripts stand outside the house and may look inside it.
  if (from === null) return null;
  if (to.rank < 0) return `${name} is in no room of the house`;
  if (from.room === to.room)
    return isRelative ? null : `${name} is in the same room: import it by ./`;
  if (isInsideOperations(from, to, target, path)) return null;
  if (isRelative) return `${name} leaves the room: import #…/index.ts`;
  if (from.room.startsWith("doors/") && to.room.startsWith("doors/"))
    return `${name}: a door does not import another door`;
  // The command line opens the whole house when no server runs.
  if (to.room === "app") return from.room === "doors/cli" ? null : `${name}: app.ts stands last`;
  if (to.rank > from.rank) return `${name}: src/${to.room} stands after src/${from.room}`;
  return deepFault(name, target);
}

/** The table reads every capability, and every capability stands on the files beside the table. */
function isInsideOperations(from: Place, to: Place, target: string, path: string): boolean {
  if (from.rank !== to.rank || !from.room.startsWith("operations")) return false;
  const isTable = path === longIndex && to.room.startsWith("operations/");
  return isTable || (to.room === "operations" && target !== longIndex);
}

function deepFault(name: string, target: string): string | null {
  const isEntry = target.endsWith("/index.ts") || target === "src/app.ts";
  return isEntry ? null : `${name} looks into the room past its index.ts`;
}

function processFaults(path: string, root: Node, at: At): string[] {
  return findNodes(root, "member_expression", "subscript_expression").flatMap((node) => {
    if (node.childForFieldName("object")?.text !== "process") return [];
    const property = node.childForFieldName("property") ?? node.childForFieldName("index");
    const name = property?.text.replace(/^["'`]|["'`]$/g, "");
    if (name === "env" && !path.startsWith("src/base/config/"))
      return [at(node, "the environment is read only in src/base/config")];
    if ((name === "exit" || name === "reallyExit") && !path.startsWith("src/doors/cli/"))
      return [at(node, "the process is ended only in src/doors/cli")];
    return [];
  });
}

function catchFaults(root: Node, at: At): string[] {
  const clauses = findNodes(root, "catch_clause").flatMap((clause) => {
    const wrong = clauseFault(clause.childForFieldName("body"));
    return wrong === null ? [] : [at(clause, wrong)];
  });
  const calls = findNodes(root, "call_expression").flatMap((call) => {
    const callee = call.childForFieldName("function");
    if (callee?.childForFieldName("property")?.text !== "catch") return [];
    const handler = call.childForFieldName("arguments")?.namedChild(0) ?? null;
    return swallows(handler) ? [at(call, ".catch() puts something in the place of an error")] : [];
  });
  return [...clauses, ...calls];
}

function clauseFault(body: Node | null): string | null {
  const statements = (body?.namedChildren ?? []).filter((node) => node?.type !== "comment");
  const [first] = statements;
  if (!first) return "an empty catch hides an error";
  if (statements.length > 1 || first.type !== "return_statement") return null;
  const value = first.namedChildren.find((node) => node?.type !== "comment");
  return value && !isConstant(value) ? null : "a catch returns something in the place of an error";
}

/** Whether a value says nothing of the error: no name in it is called or read. */
function isConstant(value: Node): boolean {
  return findNodes(value, "identifier", "call_expression", "new_expression").every(
    (node) => node.type === "identifier" && node.text === "undefined",
  );
}

/** Whether the argument of `.catch` ignores the error: a value, or a function without a parameter that it reads. */
function swallows(handler: Node | null): boolean {
  if (handler === null) return true;
  if (["identifier", "member_expression"].includes(handler.type))
    return handler.text === "undefined";
  if (!["arrow_function", "function_expression"].includes(handler.type))
    return handler.type !== "call_expression";
  const parameter =
    handler.childForFieldName("parameter") ??
    findNodes(handler.childForFieldName("parameters") ?? handler, "identifier")[0];
  if (
    !parameter ||
    (!handler.childForFieldName("parameters") && !handler.childForFieldName("parameter"))
  )
    return true;
  const body = handler.childForFieldName("body");
  return (
    !body || ![body, ...findNodes(body, "identifier")].some((node) => node.text === parameter.text)
  );
}

function isTest(path: string): boolean {
  return path.endsWith(".test.ts");
}
