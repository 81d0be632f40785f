import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { FastifyReply } from "fastify";
import { findPackage } from "#base/config/index.ts";
import { errorCatalogue, type ErrorDefinition, noticeCatalogue } from "#base/errors/index.ts";
import { setPageHeaders } from "./security-headers.ts";

/** Every static file by name: nothing outside this list is ever read. */
const mediaTypes: Readonly<Record<string, string>> = {
  "home.html": "text/html; charset=utf-8",
  "docs.html": "text/html; charset=utf-8",
  "style.css": "text/css; charset=utf-8",
  "elements.js": "text/javascript; charset=utf-8",
  "call-api.js": "text/javascript; charset=utf-8",
  "home.js": "text/javascript; charset=utf-8",
  "docs.js": "text/javascript; charset=utf-8",
  "show-schema.js": "text/javascript; charset=utf-8",
  "icon.svg": "image/svg+xml",
};

const contents = new Map<string, Buffer>();

export function staticFileNames(): string[] {
  return Object.keys(mediaTypes);
}

/** Answers with a static file, read once. */
export async function answerFile(reply: FastifyReply, name: string): Promise<FastifyReply> {
  const content = contents.get(name) ?? (await readFile(join(pagesFolder(), name)));
  contents.set(name, content);
  const mediaType = mediaTypes[name] ?? "application/octet-stream";
  if (mediaType.startsWith("text/html")) setPageHeaders(reply);
  return reply.header("cache-control", "no-cache").type(mediaType).send(content);
}

/** Answers with a page made here. */
export function answerHtml(reply: FastifyReply, html: string): FastifyReply {
  setPageHeaders(reply);
  return reply.header("cache-control", "no-cache").type("text/html; charset=utf-8").send(html);
}

/** Where the static files of the pages lie: below `src/` in a clone, and at the same place below `dist/` in a release. */
function pagesFolder(): string {
  const root = import.meta.url.endsWith(".ts") ? "src" : "dist";
  return join(findPackage().folder, root, "doors", "http", "pages");
}

/** The page of one error code. */
export function errorPage(definition: ErrorDefinition): string {
  const { code, title, help, status, severity, category, retryable } = definition;
  const facts: readonly (readonly [string, string])[] = [
    ["Code", code],
    ["Status", String(status)],
    ["Severity", severity],
    ["Category", category.replaceAll("_", " ")],
    ["Another try may succeed", retryable ? "yes" : "no"],
  ];
  return page(
    title,
    `<h1>${escape(title)}</h1>
<p>${withCode(help)}</p>
<dl class="facts">${facts.map(([name, value]) => `<dt>${name}</dt><dd><code>${escape(value)}</code></dd>`).join("")}</dl>
<p><a href="/docs/errors">All errors and notices</a></p>`,
  );
}

/** The list of every error and notice. */
export function errorListPage(): string {
  const errors = [...errorCatalogue.values()].map(
    ({ code, status, title }) =>
      `<tr><td><a href="/docs/errors/${escape(code)}"><code>${escape(code)}</code></a></td><td>${status}</td><td>${escape(title)}</td></tr>`,
  );
  const notices = Object.entries(noticeCatalogue).map(
    ([code, meaning]) =>
      `<tr><td><code>${escape(code)}</code></td><td>${withCode(meaning)}</td></tr>`,
  );
  return page(
    "Errors and notices",
    `<h1>Errors</h1>
<p>Every error carries one of these codes, at every door.</p>
<table><thead><tr><th scope="col">Code</th><th scope="col">Status</th><th scope="col">Meaning</th></tr></thead><tbody>${errors.join("")}</tbody></table>
<h2>Notices</h2>
<p>A successful answer that is less than what was asked says so.</p>
<table><thead><tr><th scope="col">Code</th><th scope="col">Meaning</th></tr></thead><tbody>${notices.join("")}</tbody></table>`,
  );
}

function page(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} · Candor</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/style.css">
</head>
<body>
<header class="bar"><a class="brand" href="/">Candor</a><nav aria-label="Pages"><a href="/">Search</a><a href="/docs">API</a><a href="/docs/errors">Errors</a></nav></header>
<main>${content}</main>
</body>
</html>
`;
}

/** Escaped text with \`code\` marked up. */
function withCode(text: string): string {
  return escape(text).replaceAll(/`([^`]+)`/g, "<code>$1</code>");
}

function escape(text: string): string {
  const entities: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
}
