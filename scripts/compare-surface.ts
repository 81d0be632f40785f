import type { Fields, Side, Surface } from "./describe-surface.ts";

/** What a change does to those who use the names: `broken` stops something that worked, `added` does not. */
export type Difference = { readonly broken: readonly string[]; readonly added: readonly string[] };

/** Compares what was published with what the code has now. */
export function compareSurfaces(published: Surface, now: Surface): Difference {
  const broken: string[] = [];
  const added: string[] = [];
  const lists = (what: string, before: readonly string[], after: readonly string[]) => {
    broken.push(
      ...before.filter((name) => !after.includes(name)).map((name) => `${what} ${name} is gone`),
    );
    added.push(...after.filter((name) => !before.includes(name)).map((name) => `${what} ${name}`));
  };
  const fields = (what: string, side: Side, before: Fields, after: Fields) => {
    broken.push(...brokenFields(side, before, after).map((fault) => `${what} ${fault}`));
    added.push(
      ...Object.keys(after)
        .filter((path) => before[path] !== after[path])
        .map((path) => `${what} ${path}`),
    );
  };
  lists("operation", Object.keys(published.operations), Object.keys(now.operations));
  for (const [name, before] of Object.entries(published.operations)) {
    const after = now.operations[name];
    if (!after) continue;
    if (before.http !== after.http)
      (before.http === null ? added : broken).push(`${name}: ${before.http} became ${after.http}`);
    lists(`${name}: command`, before.commands, after.commands);
    lists(`${name}: tool`, before.tools, after.tools);
    fields(`${name}: input`, "input", before.input, after.input);
    fields(`${name}: output`, "output", before.output, after.output);
  }
  lists("command", published.commands, now.commands);
  lists("error", Object.keys(published.errors), Object.keys(now.errors));
  for (const [code, status] of Object.entries(published.errors))
    if ((now.errors[code] ?? status) !== status)
      broken.push(`error ${code} answers ${now.errors[code]}, no longer ${status}`);
  lists("notice", published.notices, now.notices);
  fields("setting", "input", published.settings, now.settings);
  return { broken, added };
}

function brokenFields(side: Side, before: Fields, after: Fields): string[] {
  const kept = Object.entries(before).flatMap(([path, marks]) => {
    const other = after[path];
    if (other === undefined) return [`${path} is gone`];
    return side === "input"
      ? narrowed(split(marks), split(other)).map((fault) => `${path} ${fault}`)
      : loosened(split(marks), split(other)).map((fault) => `${path} ${fault}`);
  });
  if (side === "output") return kept;
  const demanded = Object.entries(after).flatMap(([path, marks]) => {
    const parent = path.replace(/(?:^|\.)[^.]*$/, "");
    const isNew = !(path in before) && (parent === "" || parent in before);
    const isElement = /[\]}]$/.test(path);
    return isNew && !isElement && !split(marks).includes("optional") && !isSetting(marks)
      ? [`${path} is new and must be given`]
      : [];
  });
  return [...kept, ...demanded];
}

const boundMark = /^(.*)([<>]=) (-?[\d.e+]+)$/;
const isSetting = (marks: string) => /\b[A-Z]+_[A-Z_]+\b/.test(marks);
const split = (marks: string): string[] => (marks === "" ? [] : marks.split(", "));

/** What callers may no longer send. */
function narrowed(before: readonly string[], after: readonly string[]): string[] {
  const lost = before
    .filter((mark) => !boundMark.test(mark) && !covers(after, mark))
    .map((mark) => (mark === "optional" ? "must now be given" : `takes ${mark} no longer`));
  const tightened = after.filter((mark) => {
    const [, unit = "", sign, value] = boundMark.exec(mark) ?? [];
    if (sign === undefined) return false;
    const known = before.find((one) => one.startsWith(`${unit}${sign} `));
    if (known === undefined) return true;
    const [, , , old] = boundMark.exec(known) ?? [];
    return sign === ">=" ? Number(value) > Number(old) : Number(value) < Number(old);
  });
  return [...lost, ...tightened.map((mark) => `is now limited to ${mark}`)];
}

/** What readers can no longer rely on. */
function loosened(before: readonly string[], after: readonly string[]): string[] {
  const lost = before
    .filter((mark) => (mark === "always" || isValue(mark)) && !covers(after, mark))
    .map((mark) =>
      mark === "always" ? "is not always there any more" : `is never ${mark} any more`,
    );
  const wider = after.filter(
    (mark) =>
      mark !== "always" && !covers(before, mark) && !(isValue(mark) && before.some(isValue)),
  );
  return [...lost, ...wider.map((mark) => `may now be ${mark}`)];
}

/** Whether a mark stands among others, or something that takes it in: `any` every type, a type its values. */
function covers(marks: readonly string[], mark: string): boolean {
  if (marks.includes(mark)) return true;
  if (mark === "optional" || mark === "always") return false;
  if (marks.includes("any")) return true;
  if (mark === "integer") return marks.includes("number");
  return isValue(mark) && marks.includes(typeof JSON.parse(mark));
}

function isValue(mark: string): boolean {
  return /^(?:".*"|-?\d.*|true|false)$/.test(mark);
}
