// `npm run audit`: asks the registry which locked packages have known vulnerabilities. A high or critical one fails; where the
// registry cannot be reached or does not answer such questions, that is said and nothing fails.
import { spawnSync } from "node:child_process";
import { join } from "node:path";

type Advisory = { readonly title?: string; readonly url?: string };
type Vulnerability = {
  readonly name: string;
  readonly severity: string;
  readonly range: string;
  readonly via: readonly (Advisory | string)[];
};

/** What came of the question, with the lines that say so. */
export type AuditOutcome = {
  readonly state: "passed" | "failed" | "skipped";
  readonly lines: readonly string[];
};

/** Severities that no release may have (known vulnerabilities of the lesser ones are shown). */
const refused = ["critical", "high"];

/** Reads the answer of `npm audit --json`. What is no answer to the question is `skipped`, with the reason. */
export function readAudit(printed: string): AuditOutcome {
  const skipped = (reason: string): AuditOutcome => ({
    state: "skipped",
    lines: [
      `skipped: ${reason}`,
      "Known vulnerabilities were not asked for; run npm run audit where the package registry answers such questions.",
    ],
  });
  const answer = parse(printed);
  if (answer === null) return skipped(`npm audit printed no JSON: ${printed.trim().slice(0, 200)}`);
  if (typeof answer["message"] === "string" || "error" in answer) return skipped(reasonOf(answer));
  const { vulnerabilities, metadata } = answer as {
    vulnerabilities?: Record<string, Vulnerability>;
    metadata?: { dependencies?: { total?: number } };
  };
  const total = metadata?.dependencies?.total;
  if (!vulnerabilities || total === undefined)
    return skipped("npm audit answered in an unknown form");
  const found = Object.values(vulnerabilities);
  const lines = found.flatMap(({ name, severity, range, via }) => [
    `${severity}: ${name} ${range}`,
    ...via.flatMap((one) =>
      typeof one === "string" ? [] : [`  ${one.title ?? ""} ${one.url ?? ""}`.trimEnd()],
    ),
  ]);
  const bad = found.filter(({ severity }) => refused.includes(severity)).length;
  const count = `${total} packages asked for, ${found.length} with known vulnerabilities, ${bad} of them high or critical`;
  return { state: bad > 0 ? "failed" : "passed", lines: [...lines, count] };
}

function parse(printed: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(printed);
    return typeof parsed === "object" ? (parsed as Record<string, unknown> | null) : null;
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return null;
    throw thrown;
  }
}

/** Why npm had no answer, without the address of the registry. */
function reasonOf({ message, error }: Record<string, unknown>): string {
  const { summary, code } = (error ?? {}) as { summary?: string; code?: string };
  const said = [message, summary, code].find((text) => typeof text === "string" && text !== "");
  return `the package registry gave no answer (${String(said).replaceAll(/https?:\/\/\S+/g, "…")})`;
}

if (import.meta.main) {
  const { stdout, error } = spawnSync("npm", ["audit", "--json", "--audit-level=none"], {
    cwd: join(import.meta.dirname, ".."),
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    timeout: 120_000,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const { state, lines } = readAudit(error ? JSON.stringify({ message: error.message }) : stdout);
  process.stdout.write(`npm audit: ${lines.join("\n")}\n`);
  process.exitCode = state === "failed" ? 1 : 0;
}
