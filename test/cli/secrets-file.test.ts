import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeAgeKey, writeSopsFile } from "../fixtures/sops/write-sops-file.ts";
import { startCandor } from "./run-candor.ts";

const key = makeAgeKey();
const secret = "canary-of-the-secrets-file-0123456789";
let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "candor-secrets-"));
  await writeFile(
    join(home, "secrets.env"),
    writeSopsFile({ SECRET_KEY: secret }, [key], { kind: "dotenv" }),
  );
});
afterAll(() => rm(home, { recursive: true, force: true }));

const config = (identity: string) =>
  startCandor(home, ["config", "--json"], {
    CANDOR_SECRETS_FILE: "secrets.env",
    SOPS_AGE_KEY: identity,
    LOG_LEVEL: "trace",
  }).ended;

test("a secret of the file is in force, and stands decrypted nowhere", async () => {
  const { code, stdout, stderr } = await config(key.identity);
  expect(code, stderr).toBe(0);
  const { items } = JSON.parse(stdout) as { items: { key: string }[] };
  expect(items.find((item) => item.key === "security.secretKey")).toMatchObject({
    value: "[redacted]",
    origin: "secrets file",
    variable: "SECRET_KEY",
  });
  expect(stdout + stderr).not.toMatch(/canary|AGE-SECRET/);
  const { status } = spawnGrep("canary-of|AGE-SECRET-KEY-1");
  expect(status).toBe("nothing");
});

test("a wrong key ends the command with 2 and the next step", async () => {
  const { code, stdout, stderr } = await config(makeAgeKey().identity);
  expect(code).toBe(2);
  expect(stdout + stderr).toContain("none of the 1 given opens it");
  expect(stdout + stderr).not.toMatch(/canary|AGE-SECRET/);
});

/** Whether any file below the home holds the pattern. */
function spawnGrep(pattern: string): { status: string } {
  try {
    return { status: execFileSync("grep", ["-rlaE", pattern, home], { encoding: "utf8" }) };
  } catch (thrown) {
    if (thrown instanceof Error && "status" in thrown && thrown.status === 1)
      return { status: "nothing" };
    throw thrown;
  }
}
