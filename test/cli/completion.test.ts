import { execFileSync, spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { makeHome, runCandor } from "./run-candor.ts";

const shells = ["bash", "zsh", "fish", "powershell"] as const;
const has = (program: string) => spawnSync(program, ["-c", "exit 0"]).status === 0;
const scripts = new Map<string, string>();
let home: string;

beforeAll(async () => {
  home = await makeHome();
  for (const shell of shells) {
    const { code, stdout } = await runCandor(home, ["completion", shell]);
    expect(code).toBe(0);
    scripts.set(shell, join(home, `candor.${shell}`));
    await writeFile(join(home, `candor.${shell}`), stdout);
  }
});

for (const shell of ["bash", "zsh", "fish"])
  test.skipIf(!has(shell))(`the script for ${shell} has no syntax error`, () => {
    execFileSync(shell, ["-n", scripts.get(shell) ?? ""]);
  });

test("a shell that is none of them is refused with the choice", async () => {
  const { code, stderr } = await runCandor(home, ["completion", "tcsh"]);
  expect(code).toBe(2);
  expect(stderr).toContain("bash, zsh, fish, powershell");
});

describe.skipIf(!has("bash"))("in bash", () => {
  /** What Tab offers after these words; the last one is being typed. `candor` itself answers with two names. */
  const offered = (...words: string[]): string[] => {
    const quoted = words.map((word) => `'${word}'`).join(" ");
    const program = `source '${scripts.get("bash")}'; candor() { echo handbook; echo notes; }; compopt() { :; }
      COMP_WORDS=(candor ${quoted}); COMP_CWORD=${words.length}; _candor; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const text = execFileSync("bash", ["-c", program], { encoding: "utf8", cwd: home });
    return text.split("\n").filter((line) => line !== "");
  };

  test.each([
    [["sea"], ["search"]],
    [
      ["jobs", "re"],
      ["resume", "retry"],
    ],
    [["search", "x", "--mo"], ["--mode"]],
    [
      ["search", "x", "--mode", ""],
      ["hybrid", "semantic", "keyword"],
    ],
    [
      ["search", "x", "--collection", ""],
      ["handbook", "notes"],
    ],
    [["collections", "show", "h"], ["handbook"]],
    [["index", "candor.b"], ["candor.bash"]],
    [["search", "x", "--limit", ""], []],
    [
      ["embed", "x", "--kind", ""],
      ["query", "passage"],
    ],
    [["__"], []],
  ])("%j offers %j", (words, expected) => expect(offered(...words)).toEqual(expected));
});
