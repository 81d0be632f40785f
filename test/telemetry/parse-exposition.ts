/** One line of values. */
export type Sample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

export type Exposition = {
  /** The type of each family by its name. */
  readonly families: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
};

const namePattern = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/**
 * Reads Prometheus' text format 0.0.4 and raises at anything that its description does not allow: a family in two pieces, values
 * before their type, a series twice, a histogram whose buckets fall or that has no `+Inf`, a wrong escape, a counter below zero.
 */
export function parseExposition(text: string): Exposition {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const families = new Map<string, string>();
  const helped = new Set<string>();
  const samples: Sample[] = [];
  const series = new Set<string>();
  let current = "";
  for (const line of text.split("\n").slice(0, -1)) {
    if (line === "") continue;
    const [, word, name = "", rest = ""] = /^# (HELP|TYPE) (\S+)(?: (.*))?$/.exec(line) ?? [];
    if (word === "HELP") {
      if (helped.has(name)) throw new Error(`${name} is described twice`);
      if (rest === "") throw new Error(`${name} has no help`);
      helped.add(name);
      current = name;
    } else if (word === "TYPE") {
      if (families.has(name)) throw new Error(`${name} stands in two places`);
      if (name !== current) throw new Error(`${name} has a type but no help before it`);
      if (!namePattern.test(name)) throw new Error(`${name} is no name`);
      if (!["counter", "gauge", "histogram"].includes(rest))
        throw new Error(`${name} is a ${rest}`);
      families.set(name, rest);
    } else {
      const sample = parseSample(line);
      const family = familyOf(sample.name, families);
      if (family !== current) throw new Error(`${line} stands outside of its family`);
      const id = idOf(sample.name, sample.labels);
      if (series.has(id)) throw new Error(`${line} stands there twice`);
      if (families.get(family) !== "gauge" && !(sample.value >= 0))
        throw new Error(`${line} falls`);
      series.add(id);
      samples.push(sample);
    }
  }
  for (const [name, type] of families) if (type === "histogram") checkHistogram(name, samples);
  return { families, samples };
}

/** The same for the same labels in any order. */
function idOf(name: string, labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => JSON.stringify([label, value]));
  return [name, ...pairs.toSorted()].join(" ");
}

function familyOf(name: string, families: ReadonlyMap<string, string>): string {
  if (families.has(name)) return name;
  const family = name.replace(/_(?:bucket|sum|count)$/, "");
  if (families.get(family) !== "histogram") throw new Error(`${name} has no type`);
  return family;
}

function parseSample(line: string): Sample {
  const [, name = "", list, number = ""] =
    /^([^\s{]+)(?:\{(.*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/.exec(line) ?? [];
  if (!namePattern.test(name)) throw new Error(`this is no value: ${line}`);
  return { name, labels: list === undefined ? {} : parseLabels(list, line), value: Number(number) };
}

function parseLabels(list: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = list;
  while (rest !== "") {
    const found = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(,(?=.)|$)/.exec(rest);
    if (!found) throw new Error(`these are no labels: ${line}`);
    const [all, label = "", value = ""] = found;
    if (label in labels) throw new Error(`${label} stands twice in ${line}`);
    labels[label] = value.replaceAll(/\\(.)/g, (_, escaped: string) =>
      escaped === "n" ? "\n" : escaped,
    );
    rest = rest.slice(all.length);
  }
  return labels;
}

function checkHistogram(name: string, samples: readonly Sample[]): void {
  const by = Map.groupBy(
    samples.filter((sample) => sample.name.startsWith(`${name}_`)),
    ({ labels }) => idOf(name, { ...labels, le: "" }),
  );
  for (const [labels, own] of by) {
    const buckets = own.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels: { le = "" } }) =>
      le === "+Inf" ? Infinity : Number(le),
    );
    const count = own.find((sample) => sample.name === `${name}_count`)?.value;
    const sums = own.filter((sample) => sample.name === `${name}_sum`);
    for (const [place, { value }] of buckets.entries()) {
      const before = place === 0 ? -1 : (bounds[place - 1] ?? Number.NaN);
      if (!((bounds[place] ?? Number.NaN) > before))
        throw new Error(`${name}${labels}: bounds do not rise`);
      if (place > 0 && value < (buckets[place - 1]?.value ?? Infinity))
        throw new Error(`${name}${labels}: buckets fall`);
    }
    if (bounds.at(-1) !== Infinity) throw new Error(`${name}${labels}: no +Inf`);
    if (count === undefined || buckets.at(-1)?.value !== count || sums.length !== 1)
      throw new Error(`${name}${labels}: count and sum do not fit`);
  }
}
