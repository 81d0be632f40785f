import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { Language, Parser, type Node, type Tree } from "web-tree-sitter";
import { longestTitle, type Mark, type Piece } from "./pack-chunks.ts";

/** Languages that are cut by syntax, with their grammar's file; C uses the grammar of C++. */
const grammars: Readonly<Record<string, string>> = {
  typescript: "typescript",
  tsx: "tsx",
  javascript: "javascript",
  jsx: "javascript",
  python: "python",
  go: "go",
  rust: "rust",
  java: "java",
  c: "cpp",
  cpp: "cpp",
};

/** Longest source that is parsed, in characters: a tree takes some forty times its text. Larger files are generated as a rule. */
const longestParsed = 1_000_000;

/** Longest time spent on parsing one file: error recovery is slow on hostile input. */
const longestParseMs = 5_000;

/** Levels of nodes that are opened; what lies deeper is cut by lines. */
const deepestNode = 400;

/** A comment of more characters than this stands alone where it does not fit together with what it is about. */
const longestLead = 500;

/** How far before a comment its line is looked at, in characters. */
const longestIndent = 200;

/** Symbols kept of a chain, the innermost. */
const longestChain = 8;

/** Share of the text inside syntax errors from which the tree is not used. */
const largestErrorShare = 0.5;

/** Nodes that are symbols, with the word before their name. */
const symbolKinds: Readonly<Record<string, string>> = {
  abstract_class_declaration: "class ",
  class_declaration: "class ",
  class_definition: "class ",
  class_specifier: "class ",
  record_declaration: "record ",
  struct_specifier: "struct ",
  struct_item: "struct ",
  union_specifier: "union ",
  union_item: "union ",
  interface_declaration: "interface ",
  annotation_type_declaration: "interface ",
  trait_item: "trait ",
  impl_item: "impl ",
  enum_declaration: "enum ",
  enum_specifier: "enum ",
  enum_item: "enum ",
  type_alias_declaration: "type ",
  type_spec: "type ",
  internal_module: "namespace ",
  module: "module ",
  namespace_definition: "namespace ",
  mod_item: "mod ",
  function_declaration: "",
  function_definition: "",
  function_item: "",
  function_signature_item: "",
  generator_function_declaration: "",
  method_definition: "",
  method_declaration: "",
  constructor_declaration: "",
  compact_constructor_declaration: "",
  macro_definition: "",
  variable_declarator: "",
  public_field_definition: "",
  field_definition: "",
};

/** Nodes around a symbol that are cut together with it. */
const wrappers = new Set([
  "export_statement",
  "decorated_definition",
  "template_declaration",
  "lexical_declaration",
  "variable_declaration",
  "ambient_declaration",
  "type_declaration",
  "expression_statement",
]);

/** Nodes that belong to what follows them. */
const leading = /comment|^decorator$|^attribute_item$|^access_specifier$/;

/** Bodies of what was opened are opened too, so that their first statements stay with the signature. */
const body = /(?:^|_)(?:block|body|compound_statement|declaration_list)$/;

const require = createRequire(import.meta.url);
const loaded = new Map<string, Promise<Language>>();
let started: Promise<void> | null = null;

/** The grammar of a language, loaded once for this thread from the installed package. */
async function loadGrammar(name: string): Promise<Language> {
  started ??= Parser.init({
    locateFile: () => require.resolve("web-tree-sitter/web-tree-sitter.wasm"),
  });
  await started;
  const file = require.resolve(`@vscode/tree-sitter-wasm/wasm/tree-sitter-${name}.wasm`);
  const known = loaded.get(name) ?? readFile(file).then((bytes) => Language.load(bytes));
  loaded.set(name, known);
  return known;
}

type CodePieces =
  | { readonly pieces: readonly Piece[]; readonly reason: null }
  | { readonly pieces: null; readonly reason: string };

/**
 * Source code as pieces by its syntax: functions, classes and methods with their comments and decorators; a node that
 * does not fit is opened. Where there is no usable tree, `pieces` is null and `reason` says why.
 */
export async function codePieces(
  text: string,
  language: string,
  fits: (from: number, to: number) => boolean,
): Promise<CodePieces> {
  const grammar = grammars[language];
  if (grammar === undefined) return { pieces: null, reason: `no grammar for ${language}` };
  if (text.length > longestParsed) {
    const reason = `${text.length} characters, more than the ${longestParsed} that are parsed`;
    return { pieces: null, reason };
  }
  const syntax = await loadGrammar(grammar);
  const parser = new Parser();
  try {
    parser.setLanguage(syntax);
    const deadline = performance.now() + longestParseMs;
    const tree = parser.parse(text, null, {
      progressCallback: () => performance.now() > deadline,
    });
    if (tree === null) {
      return { pieces: null, reason: `parsing took longer than ${longestParseMs / 1000} s` };
    }
    return piecesOfTree(text, tree, fits);
  } finally {
    parser.delete();
  }
}

function piecesOfTree(
  text: string,
  tree: Tree,
  fits: (from: number, to: number) => boolean,
): CodePieces {
  try {
    const share = errorShare(tree.rootNode, text.length);
    if (share > largestErrorShare) {
      const percent = Math.round(share * 100);
      return { pieces: null, reason: `syntax errors in ${percent} % of the file` };
    }
    return { pieces: [...walkTree(text, tree.rootNode, fits)], reason: null };
  } finally {
    tree.delete();
  }
}

/** Share of the text that the grammar could not make sense of: errors without the well-formed nodes inside them. */
function errorShare(root: Node, length: number): number {
  let wrong = 0;
  const stack: Node[] = root.hasError ? [root] : [];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (node.isError) wrong += node.endIndex - node.startIndex;
    for (const child of childrenOf(node)) {
      const isApart = child.isError || child.namedChildCount > 0; // counted by itself, or well-formed
      if (node.isError && isApart) wrong -= child.endIndex - child.startIndex;
      if (child.hasError) stack.push(child);
    }
  }
  return wrong / Math.max(1, length);
}

function childrenOf(node: Node): Node[] {
  return node.children.filter((child) => child !== null);
}

type Frame = {
  readonly children: readonly Node[];
  next: number;
  readonly chain: readonly Mark[];
  readonly group: number;
  readonly isWrapper: boolean;
};

/** Each piece begins where the one before ended, so that nothing between nodes is lost; the last reaches the end of the text. */
function* walkTree(
  text: string,
  root: Node,
  fits: (from: number, to: number) => boolean,
): Generator<Piece> {
  let covered = 0;
  let groups = 0;
  const top = { chain: [], group: 0, isWrapper: false };
  const stack: Frame[] = [{ children: childrenOf(root), next: 0, ...top }];
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const node = frame.children[frame.next];
    frame.next += 1;
    if (node === undefined) {
      stack.pop();
      continue;
    }
    const end = node.endIndex;
    if (end <= covered || leadsTo(text, frame, node)) continue;
    const { group } = frame;
    const chain = withSymbol(frame.chain, node);
    if (node.startIndex - covered > longestLead && !fits(covered, end)) {
      yield { from: covered, to: node.startIndex, chain, group };
      covered = node.startIndex;
    }
    const whole = fits(covered, end) && !body.test(node.type);
    const open = whole || stack.length > deepestNode ? [] : childrenOf(node);
    if (open.length === 0) {
      yield { from: covered, to: end, chain, group };
      covered = end;
      continue;
    }
    const inside = chain === frame.chain ? group : (groups += 1);
    const isWrapper = wrappers.has(node.type);
    stack.push({ children: open, next: 0, chain, group: inside, isWrapper });
  }
  if (covered < text.length) yield { from: covered, to: text.length, chain: [], group: 0 };
}

/** Whether `node` belongs to its next sibling: a comment or decorator directly above it, or a word such as `export` before it. */
function leadsTo(text: string, frame: Frame, node: Node): boolean {
  const next = frame.children[frame.next];
  if (next === undefined) return false;
  if (frame.isWrapper) return next.isNamed;
  if (!leading.test(node.type) || !/\w/.test(next.type)) return false;
  const before = text.slice(Math.max(0, node.startIndex - longestIndent), node.startIndex);
  const trails = /\S[ \t]*$/.test(before); // behind other code: a remark on that
  return !trails && next.startPosition.row - node.endPosition.row <= 1;
}

/** `chain` with the symbol that `node` is, or `chain` itself where it is none. */
function withSymbol(chain: readonly Mark[], node: Node): readonly Mark[] {
  const symbol = symbolOf(node);
  if (symbol === null || chain.at(-1)?.at === symbol.at) return chain;
  return [...chain, symbol].slice(-longestChain);
}

function symbolOf(outer: Node): Mark | null {
  let node: Node | null = outer;
  for (let level = 0; level < 4 && node !== null && wrappers.has(node.type); level += 1) {
    node = node.namedChildren.find((child) => child !== null && isCarrier(child)) ?? null;
  }
  if (node === null || !Object.hasOwn(symbolKinds, node.type)) return null;
  if (/variable_declarator|field_definition/.test(node.type) && !holdsFunction(node)) return null;
  const name = nameOf(node);
  if (name === null) return null;
  const title = `${symbolKinds[node.type] ?? ""}${name.title}`.replace(/\s+/g, " ");
  return { title: title.slice(0, longestTitle), at: name.at };
}

function isCarrier(node: Node): boolean {
  return Object.hasOwn(symbolKinds, node.type) || wrappers.has(node.type);
}

function holdsFunction(node: Node): boolean {
  const value = node.childForFieldName("value")?.type ?? "";
  return /function|class|^object$/.test(value);
}

function nameOf(node: Node): Mark | null {
  if (node.type === "impl_item") {
    const type = node.childForFieldName("type");
    const trait = node.childForFieldName("trait");
    if (type === null) return null;
    const title = trait === null ? type.text : `${trait.text} for ${type.text}`;
    return { title, at: (trait ?? type).startIndex };
  }
  let name = node.childForFieldName("name");
  let declarator = name === null ? node.childForFieldName("declarator") : null;
  while (declarator !== null) {
    name = declarator;
    declarator = declarator.childForFieldName("declarator"); // C: pointers and parameters around the name
  }
  if (name === null) return null;
  const receiver = /([A-Za-z_]\w*)(?:\[[^\]]*\])?\s*\)$/.exec(
    node.childForFieldName("receiver")?.text ?? "",
  );
  const owner = receiver?.[1] === undefined ? "" : `${receiver[1]}.`;
  return { title: `${owner}${name.text}`, at: name.startIndex };
}
