/**
 * Makes an element: its properties, then its children. Children that are text become text nodes, so nothing that comes from a
 * document, a model or the server is ever read as markup.
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (key === "class") made.className = value;
    else if (key.startsWith("aria-") || key === "role") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/**
 * Control and format characters, which could make a text look like another one. Line breaks and tabs stay, and so do the joiners
 * that several scripts and emoji need.
 */
const hiddenCharacters = /(?![\t\n\r\u200c\u200d])[\p{Cc}\p{Cf}]/gu;

/** `text` as nodes, with what would be invisible shown by its code point. */
export function visibleText(text) {
  const nodes = [];
  let at = 0;
  for (const { 0: found, index } of text.matchAll(hiddenCharacters)) {
    nodes.push(text.slice(at, index));
    const code = found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    nodes.push(element("span", { class: "hidden-character" }, `‹U+${code}›`));
    at = index + found.length;
  }
  nodes.push(text.slice(at));
  return nodes;
}

/** `text` with the ranges `[from, to)` marked, in UTF-16 characters; ranges that overlap or lie outside are cut to what is left. */
export function markedText(text, ranges) {
  const nodes = [];
  let at = 0;
  for (const [from, to] of ranges.toSorted((one, other) => one[0] - other[0])) {
    const start = Math.max(at, Math.min(from, text.length));
    const end = Math.max(start, Math.min(to, text.length));
    nodes.push(...visibleText(text.slice(at, start)));
    if (end > start) nodes.push(element("mark", {}, ...visibleText(text.slice(start, end))));
    at = end;
  }
  nodes.push(...visibleText(text.slice(at)));
  return nodes;
}

/** A problem (RFC 9457) as a panel that says what happened and what to do. */
export function problemPanel(problem) {
  const faults = (problem.errors ?? []).map(({ pointer, message, valid }) =>
    element(
      "li",
      {},
      element("code", {}, pointer === "" ? "/" : pointer),
      ` ${message}${valid === undefined ? "" : `; valid: ${valid.join(", ")}`}`,
    ),
  );
  return element(
    "section",
    { class: "panel failed" },
    element("h2", {}, problem.title),
    element("p", {}, ...visibleText(problem.detail)),
    faults.length > 0 ? element("ul", {}, ...faults) : null,
    problem.nextStep ? element("p", {}, ...visibleText(problem.nextStep.text)) : null,
    element(
      "p",
      { class: "muted" },
      element("a", { href: `/docs/errors/${encodeURIComponent(problem.code)}` }, problem.code),
      problem.requestId ? ` · request ${problem.requestId}` : "",
      problem.instance ? ` · ${problem.instance}` : "",
    ),
  );
}
