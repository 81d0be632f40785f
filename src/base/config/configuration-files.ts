import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import type { ConfigurationFault, FaultCode } from "./faults.ts";

/** Larger than any honest configuration file; more is a mistake, such as a data file of that name. */
const largestFileBytes = 1024 * 1024;

type AddFault = (fault: ConfigurationFault) => void;

/** The text of a configuration file, or null when it does not exist or (with a fault added) cannot be read. */
function readTextFile(path: string, addFault: AddFault): string | null {
  try {
    const bytes = readFileSync(path);
    if (bytes.length <= largestFileBytes)
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    addFault(unreadable(path, `is larger than ${largestFileBytes} bytes`, "fault"));
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : null;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    // A folder named .env is a common way to keep a Python environment: said, but no reason to refuse.
    if (code === "EISDIR")
      addFault(unreadable(path, "is a folder, so nothing is read from it", "warning"));
    else if (thrown instanceof TypeError) addFault(unreadable(path, "is not UTF-8 text", "fault"));
    else addFault(unreadable(path, `cannot be read: ${String(code ?? thrown)}`, "fault"));
  }
  return null;
}

function unreadable(
  path: string,
  what: string,
  severity: ConfigurationFault["severity"],
): ConfigurationFault {
  return { key: path, code: "file_unreadable", message: `${path} ${what}.`, severity };
}

/** The stored settings by key, as written; `{}` when there are none. A broken file adds a fault. */
export function readStoredSettings(path: string, addFault: AddFault): Record<string, unknown> {
  const content = readTextFile(path, addFault);
  if (content === null) return {};
  const malformed = (what: string) =>
    addFault({
      key: path,
      code: "settings_malformed",
      message: `${path} ${what}; correct it, or delete it to return to the defaults.`,
      severity: "fault",
    });
  try {
    const parsed: unknown = JSON.parse(content);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>;
    malformed("is JSON, but not an object of settings");
  } catch (thrown) {
    malformed(`is not valid JSON (${thrown instanceof Error ? thrown.message : String(thrown)})`);
  }
  return {};
}

/**
 * The variables of a `.env` file, `{}` when there is none. Lines that `parseEnv` would drop or cut without a word add a fault;
 * their content is not repeated, for it may be a secret. `isOurs` tells the names whose values matter to us.
 */
export function readDotenv(
  path: string,
  isOurs: (name: string) => boolean,
  addFault: AddFault,
): Readonly<Record<string, string | undefined>> {
  const content = readTextFile(path, addFault);
  if (content === null) return {};
  const add = (key: string, code: FaultCode, what: string) =>
    addFault({ key, code, message: `${path}, ${what}.`, severity: "fault" });
  const lines = new Map<string, number[]>();
  for (const { line, name, fault, cut } of scanDotenv(content)) {
    if (fault !== null) add(path, "dotenv_malformed", `line ${line}: ${fault}`);
    if (name === null) continue;
    lines.set(name, [...(lines.get(name) ?? []), line]);
    if (cut && isOurs(name))
      add(
        name,
        "dotenv_malformed",
        `line ${line}: \`#\` begins a comment in the value of ${name}; put the value in quotes`,
      );
  }
  for (const [name, numbers] of lines)
    if (numbers.length > 1 && isOurs(name))
      add(name, "names_disagree", `lines ${numbers.join(" and ")}: ${name} is set more than once`);
  return parseEnv(content);
}

type DotenvLine = { line: number; name: string | null; fault: string | null; cut: boolean };

/** Every line that is an assignment or should be one. Quoted values may run over several lines. */
function scanDotenv(content: string): DotenvLine[] {
  const found: DotenvLine[] = [];
  let line = 0;
  let rest = content.replaceAll("\r\n", "\n");
  while (rest !== "") {
    line += 1;
    const end = rest.indexOf("\n");
    const current = end < 0 ? rest : rest.slice(0, end);
    const following = end < 0 ? "" : rest.slice(end + 1);
    rest = following;
    if (/^\s*(#|$)/.test(current)) continue;
    const [, name, value] = /^\s*(?:export\s+)?([\w.-]+)\s*=\s*(.*)$/.exec(current) ?? [];
    if (name === undefined || value === undefined) {
      found.push({ line, name: null, fault: "is not NAME=value and not a comment", cut: false });
      continue;
    }
    const quote = /^["'`]/.exec(value)?.[0];
    if (quote === undefined) {
      found.push({ line, name, fault: null, cut: /\S#/.test(value) });
      continue;
    }
    const quoted = `${value.slice(1)}\n${following}`;
    const close = quoted.indexOf(quote);
    if (close < 0) {
      found.push({ line, name, fault: `the quote ${quote} is not closed`, cut: false });
      continue;
    }
    const [tail = "", ...after] = quoted.slice(close + 1).split("\n");
    const fault = /^\s*(#.*)?$/.test(tail) ? null : "there is text after the closing quote";
    found.push({ line, name, fault, cut: false });
    line += quoted.slice(0, close).split("\n").length - 1;
    rest = after.join("\n");
  }
  return found;
}
