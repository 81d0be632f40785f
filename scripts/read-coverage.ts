import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { type CoveredFile, type CoveredRange, coverLines, type Statement } from "./cover-lines.ts";

/** Lines on which a statement begins, and how many of them ran. */
export type RoomCoverage = { readonly room: string; lines: number; run: number };

/** Statements by file as vitest writes them, in Istanbul's form. */
type Measured = Record<
  string,
  { statementMap: Record<string, Statement>; s: Record<string, number> }
>;

/** What V8 writes of a process or thread. */
type Report = { result: { url: string; functions: { ranges: CoveredRange[] }[] }[] };

/** Where the measurements lie: vitest's file, and the folder of what children and threads wrote. */
type Places = { readonly source: string; readonly tests: string; readonly reports: string };

/** Puts the measurements of all processes together, by room and as a whole. */
export function readCoverage({ source, tests, reports }: Places): {
  rooms: RoomCoverage[];
  all: RoomCoverage;
  unrun: Record<string, number[]>;
  told: number;
  cutOff: number;
} {
  const files = readTests(tests);
  const names = readdirSync(reports);
  let cutOff = 0;
  for (const name of names) {
    const report = readReport(join(reports, name));
    if (report === null) cutOff += 1;
    for (const { url, functions } of report?.result ?? [])
      if (url.startsWith("file:"))
        files.get(fileURLToPath(url))?.ranges.push(functions.flatMap(({ ranges }) => ranges));
  }
  const rooms = new Map<string, RoomCoverage>();
  const all: RoomCoverage = { room: "all of src/", lines: 0, run: 0 };
  const unrun: Record<string, number[]> = {};
  for (const [path, file] of [...files].toSorted(([one], [other]) => (one < other ? -1 : 1))) {
    const lines = [...coverLines(file)];
    const missed = lines.filter(([, isRun]) => !isRun).map(([line]) => line);
    const place = relative(source, path).split(sep).join("/");
    const name = place.includes("/") ? dirname(place) : place;
    const room = rooms.get(name) ?? { room: name, lines: 0, run: 0 };
    rooms.set(name, room);
    for (const counted of [room, all]) {
      counted.lines += lines.length;
      counted.run += lines.length - missed.length;
    }
    if (missed.length > 0) unrun[`src/${place}`] = missed;
  }
  return { rooms: [...rooms.values()], all, unrun, told: names.length - cutOff, cutOff };
}

function readTests(path: string): Map<string, CoveredFile> {
  const measured = JSON.parse(readFileSync(path, "utf8")) as Measured;
  return new Map(
    Object.entries(measured).map(([file, { statementMap, s }]) => [
      file,
      {
        text: readFileSync(file, "utf8"),
        statements: Object.entries(statementMap).map(([id, statement]) => ({
          ...statement,
          count: s[id] ?? 0,
        })),
        ranges: [],
      },
    ]),
  );
}

/** Null for what a process left half written when it was killed. */
function readReport(path: string): Report | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Report;
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return null;
    throw thrown;
  }
}
