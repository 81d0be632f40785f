import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readLabelledSet } from "./labelled-sets.ts";
import { pick, seededRandom, type Random } from "./seeded-random.ts";

/** Sections of one generated file, each of which becomes a chunk. */
export const sectionsPerFile = 5;

/** Paragraphs of one section: about 180 tokens. */
const paragraphsPerSection = 4;

/** Files of one folder, so that no folder is unusually large. */
const filesPerFolder = 200;

type Section = { readonly heading: string; readonly paragraphs: readonly string[] };

/** All sections of the labelled documents: what generated files are made of. */
function readSections(): Section[] {
  const { folder } = readLabelledSet("documents");
  return readdirSync(folder)
    .toSorted()
    .flatMap((name) => sectionsOf(readFileSync(join(folder, name), "utf8")));
}

function sectionsOf(markdown: string): Section[] {
  return markdown
    .split(/^(?=#{1,6} )/m)
    .map((part) => part.trim().split(/\n{2,}/))
    .map(([heading = "", ...paragraphs]) => ({ heading, paragraphs }))
    .filter(({ heading, paragraphs }) => heading.startsWith("## ") && paragraphs.length > 0);
}

/**
 * Writes `count` Markdown files below `folder`: headings and paragraphs of the labelled documents, drawn anew for each
 * section, so that hardly any two chunks are equal. The same seed gives the same files.
 */
export function writeCorpus(folder: string, count: number, seed: number): void {
  const random = seededRandom(seed);
  const sections = readSections();
  for (let index = 0; index < count; index += 1) {
    const below = join(folder, `part-${Math.floor(index / filesPerFolder)}`);
    if (index % filesPerFolder === 0) mkdirSync(below, { recursive: true });
    writeFileSync(join(below, `file-${index}.md`), fileText(random, sections, index));
  }
}

function fileText(random: Random, sections: readonly Section[], index: number): string {
  const parts = [`# Generated file ${index}`];
  for (let section = 0; section < sectionsPerFile; section += 1) {
    parts.push(pick(random, sections).heading);
    for (let paragraph = 0; paragraph < paragraphsPerSection; paragraph += 1)
      parts.push(pick(random, pick(random, sections).paragraphs));
  }
  return `${parts.join("\n\n")}\n`;
}

/** Texts of mixed length: single sentences, paragraphs, sections and whole documents, a quarter of each. */
export function mixedTexts(count: number, seed: number): string[] {
  const random = seededRandom(seed);
  const { folder } = readLabelledSet("documents");
  const documents = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  const sections = documents.flatMap(sectionsOf);
  const paragraphs = sections.flatMap((section) => section.paragraphs);
  const sentences = paragraphs.flatMap((text) => text.split(/(?<=[.!?])\s+/));
  const whole = sections.map(({ heading, paragraphs: below }) => [heading, ...below].join("\n\n"));
  const sources = [sentences, paragraphs, whole, documents];
  return Array.from({ length: count }, (_, index) => pick(random, sources[index % 4] ?? documents));
}
