import { defaultTreeAdapter, parse, type DefaultTreeAdapterTypes } from "parse5";
import { FormatInvalidError } from "#base/errors/index.ts";
import type { Heading } from "./chunk-prose.ts";
import { longestTitle } from "./pack-chunks.ts";

/** Elements nested deeper than this are refused: placing an element costs time in proportion to its depth. */
const deepestElement = 10_000;

/** Elements whose content is no text of the page. */
const dropped = new Set(
  "head script style nav noscript template svg iframe object embed canvas audio video".split(" "),
);

/** Elements with an empty line around them … */
const blocks = new Set(
  "address article aside blockquote body dd details dialog div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr main menu ol p pre search section table ul".split(
    " ",
  ),
);

/** … and those that begin a new line. */
const lines = new Set("br caption figcaption legend li option optgroup summary tr".split(" "));

type HtmlText = {
  readonly text: string;
  readonly title: string | null;
  readonly headings: readonly Heading[];
  /** Rising offsets into `text` with the line of the HTML file that the text from there on stands on. */
  readonly places: readonly { readonly at: number; readonly line: number }[];
};

type TreeNode = DefaultTreeAdapterTypes.ChildNode;
type WriterMark = { readonly part: number; readonly at: number };
type Step = { readonly node: TreeNode; readonly leaves: boolean };

/**
 * The text of an HTML page without scripts, styles and navigation: blocks divided by empty lines, cells by tabs, runs of
 * blanks made one except in `pre`. The title is `<title>`, else the first `<h1>`.
 * @throws FormatInvalidError above 10,000 levels of nesting.
 */
export function readHtml(html: string, key: string): HtmlText {
  const document = parse(html, { sourceCodeLocationInfo: true, treeAdapter: limitedAdapter(key) });
  const writer = createWriter();
  const headings: Heading[] = [];
  const starts: WriterMark[] = [];
  let title: string | null = null;
  const stack: Step[] = document.childNodes.map((node) => ({ node, leaves: false })).reverse();
  for (let step = stack.pop(); step !== undefined; step = stack.pop()) {
    const { node, leaves } = step;
    if ("value" in node) writer.write(node.value, firstLineOf(node));
    if (!("tagName" in node)) continue;
    if (node.tagName === "head") title ??= titleOf(node.childNodes);
    if (dropped.has(node.tagName) || isHidden(node)) continue;
    writer.border(node.tagName, leaves);
    const level = /^h([1-6])$/.exec(node.tagName)?.[1];
    if (leaves) {
      const start = level === undefined ? undefined : starts.pop();
      if (start !== undefined) addHeading(headings, writer.textSince(start), Number(level));
      continue;
    }
    if (level !== undefined) starts.push(writer.mark());
    stack.push({ node, leaves: true });
    for (const child of node.childNodes.toReversed()) stack.push({ node: child, leaves: false });
  }
  title ??= headings.find((heading) => heading.level === 1)?.title ?? null;
  return { text: writer.text(), title, headings, places: writer.places };
}

/** The line on which a text begins; the parser drops a first line end in `pre`, so it is counted from the text's end. */
function firstLineOf({
  value,
  sourceCodeLocation: place,
}: DefaultTreeAdapterTypes.TextNode): number {
  if (place === undefined || place === null) return 1;
  return Math.max(place.startLine, place.endLine - (value.match(/\n/g)?.length ?? 0));
}

function isHidden(element: DefaultTreeAdapterTypes.Element): boolean {
  return element.attrs.some((each) => each.name === "hidden" && each.value !== "until-found");
}

/** parse5's tree, with a limit on its depth. */
function limitedAdapter(key: string): typeof defaultTreeAdapter {
  let depth = 0;
  return {
    ...defaultTreeAdapter,
    onItemPush: () => {
      depth += 1;
      if (depth > deepestElement) {
        throw new FormatInvalidError(
          `${key} nests more than ${deepestElement} HTML elements in one another. Close its elements, or send it as text/plain.`,
        );
      }
    },
    onItemPop: () => {
      depth -= 1;
    },
  };
}

function titleOf(nodes: readonly TreeNode[]): string | null {
  for (const node of nodes) {
    if (!("tagName" in node) || node.tagName !== "title") continue;
    const text = node.childNodes.map((each) => ("value" in each ? each.value : "")).join("");
    const title = text.replace(/\s+/g, " ").trim().slice(0, longestTitle);
    if (title !== "") return title;
  }
  return null;
}

function addHeading(
  headings: Heading[],
  { at, text }: { at: number; text: string },
  level: number,
): void {
  const title = text.replace(/\s+/g, " ").trim().slice(0, longestTitle);
  if (title !== "") headings.push({ title, level, at });
}

/** Collects text with the borders between its blocks and the places where its source lines begin. */
function createWriter() {
  const parts: string[] = [];
  const places: { at: number; line: number }[] = [];
  let length = 0;
  let gap = ""; // what stands between the text so far and the next
  let preformatted = 0;
  const push = (part: string, line: number): void => {
    const between = length === 0 ? "" : gap;
    gap = "";
    if (places.at(-1)?.line !== line) places.push({ at: length + between.length, line });
    parts.push(between, part);
    length += between.length + part.length;
  };
  const widen = (wanted: string): void => {
    const rank = ["", " ", "\t", "\n", "\n\n"];
    if (rank.indexOf(wanted) > rank.indexOf(gap)) gap = wanted;
  };
  return {
    places,
    text: (): string => parts.join(""),
    mark: (): WriterMark => ({ part: parts.length, at: length }),
    /** The beginning of the text written since `mark`, and its offset. */
    textSince({ part, at }: WriterMark): { at: number; text: string } {
      const text = parts.slice(part, part + longestTitle).join("");
      return { at: at + (text.length - text.trimStart().length), text };
    },
    border(tagName: string, leaves: boolean): void {
      if (tagName === "pre") preformatted += leaves ? -1 : 1;
      if (blocks.has(tagName)) widen("\n\n");
      else if (lines.has(tagName)) widen("\n");
      else if ((tagName === "td" || tagName === "th") && leaves) widen("\t");
    },
    write(value: string, startLine: number): void {
      let line = startLine;
      for (const [part] of value.matchAll(/\n|[ \t\f\r]+|[^ \t\n\f\r]+/g)) {
        if (!/^[ \t\n\f\r]/.test(part)) push(part, line);
        else if (preformatted > 0) gap += part;
        else widen(" ");
        if (part === "\n") line += 1;
      }
    },
  };
}
