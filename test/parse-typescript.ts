import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { Language, type Node, Parser } from "web-tree-sitter";

const require = createRequire(import.meta.url);

/** Gives a parser of TypeScript: source text to the root of its syntax tree. */
export async function openTypeScriptParser(): Promise<(text: string) => Node> {
  await Parser.init({
    locateFile: () => require.resolve("web-tree-sitter/web-tree-sitter.wasm"),
  });
  const grammar = await Language.load(
    await readFile(require.resolve("@vscode/tree-sitter-wasm/wasm/tree-sitter-typescript.wasm")),
  );
  const parser = new Parser().setLanguage(grammar);
  return (text) => {
    const tree = parser.parse(text);
    if (tree === null) throw new Error("no tree: the parser has no language");
    return tree.rootNode;
  };
}

/** Every node of these kinds below `root`, in the order of the text. */
export function findNodes(root: Node, ...kinds: string[]): Node[] {
  return root.descendantsOfType(kinds).filter((node) => node !== null);
}
