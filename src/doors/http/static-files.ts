import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { FastifyReply } from "fastify";
import { pagesFolder } from "./pages-folder.ts";
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
