import { statfsSync } from "node:fs";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { findPackage } from "#base/config/index.ts";
import type { Measured, Row } from "./measurement.ts";
import { toTable } from "./to-table.ts";

/** Magic numbers of file systems (Linux, statfs(2)). */
const fileSystems: Readonly<Record<number, string>> = {
  0xef53: "ext4",
  0x01021994: "tmpfs",
  0x794c7630: "overlayfs",
  0x58465342: "xfs",
  0x9123683e: "btrfs",
};

/** The results of one run as Markdown: the machine, the aims that were missed, every figure beside its baseline. */
export function renderResults(
  measured: ReadonlyMap<string, Measured>,
  { seconds, small }: { seconds: number; small: boolean },
): string {
  const all = [...measured.values()];
  const rows = all.flatMap((each) => each.rows);
  const { version } = findPackage();
  return [
    "# Benchmark results",
    `Written by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)} in ${Math.round(seconds)} s. Every figure stands beside a baseline of the same run; compare ratios, not times, between machines.`,
    ...(small ? ["**A trial with small sizes: these figures say nothing.**"] : []),
    [
      `- Candor ${version}, Node ${process.versions.node}, SQLite ${process.versions["sqlite"] ?? "unknown"}`,
      `- ${describeMachine()}`,
    ].join("\n"),
    ...(rows.length > 0 ? ["## Aims", describeAims(rows), "## Figures", figureTable(rows)] : []),
    ...all.flatMap(({ details }) => (details === undefined ? [] : [details])),
    "## How it was measured",
    [...measured].map(([name, { method }]) => `- **${name}**: ${method}`).join("\n"),
    "",
  ]
    .join("\n\n")
    .replace(/\n+$/, "\n");
}

function describeMachine(): string {
  const cores = cpus();
  const model = cores[0]?.model.trim() ?? "unknown processor";
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  const kind = statfsSync(tmpdir()).type;
  const disk = fileSystems[kind] ?? `file system 0x${kind.toString(16)}`;
  return `${cores.length} cores of ${model}, ${memory} GiB memory, ${process.platform} ${release()} ${process.arch}, temporary files on ${disk}`;
}

/** Which aims there were, and plainly which were missed. */
function describeAims(rows: readonly Row[]): string {
  const aimed = rows.filter(({ met }) => met !== null);
  const missed = aimed.filter(({ met }) => met === false);
  if (aimed.length === 0) return "None of these figures has an aim.";
  if (missed.length === 0) return `All ${aimed.length} aims were met.`;
  const lines = missed.map(
    ({ name, figure, unit, baseline, ratio, aim }) =>
      `- **Missed: ${name}**: ${show(figure)} ${unit}, ${ratio.toFixed(2)}× of ${baseline.name}; the aim is ${aim}.`,
  );
  return [`${missed.length} of ${aimed.length} aims were missed:`, "", ...lines].join("\n");
}

function figureTable(rows: readonly Row[]): string {
  return toTable(
    ["What", "Candor", "Unit", "Baseline", "Its figure", "Ratio", "Aim", "Met"],
    rows.map(({ name, figure, unit, baseline, ratio, aim, met }) => [
      name,
      show(figure),
      unit,
      baseline.name,
      show(baseline.figure),
      `${ratio.toFixed(2)}×`,
      aim ?? "",
      met === null ? "" : met ? "yes" : "**no**",
    ]),
  );
}

/** Three significant digits, thousands separated. */
function show(figure: number): string {
  if (figure >= 1000) return Math.round(figure).toLocaleString("en");
  return figure >= 100 ? figure.toFixed(0) : figure >= 10 ? figure.toFixed(1) : figure.toFixed(3);
}
