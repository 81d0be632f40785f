export interface Heading {
  level: number;
  title: string;
  line: number;
  children: Heading[];
}

/** Reads the headings of a Markdown text as a tree and skips fenced code. */
export function outline(markdown: string): Heading[] {
  const roots: Heading[] = [];
  const path: Heading[] = [];
  let fence: string | null = null;
  markdown.split('\n').forEach((text, index) => {
    const fenceMatch = /^(```+|~~~+)/.exec(text);
    if (fenceMatch) {
      if (fence === null) fence = fenceMatch[1]!;
      else if (text.startsWith(fence)) fence = null;
      return;
    }
    if (fence !== null) return;
    const match = /^(#{1,6})\s+(.*?)\s*#*$/.exec(text);
    if (!match) return;
    const heading: Heading = { level: match[1]!.length, title: match[2]!, line: index + 1, children: [] };
    while (path.length > 0 && path[path.length - 1]!.level >= heading.level) path.pop();
    const parent = path[path.length - 1];
    (parent ? parent.children : roots).push(heading);
    path.push(heading);
  });
  return roots;
}

export function renderToc(headings: Heading[], depth = 0): string {
  return headings
    .map((h) => `${'  '.repeat(depth)}- [${h.title}](#${anchor(h.title)})\n${renderToc(h.children, depth + 1)}`)
    .join('');
}

function anchor(title: string): string {
  return title.toLowerCase().replace(/[^\p{L}\p{N} -]/gu, '').replaceAll(' ', '-');
}
