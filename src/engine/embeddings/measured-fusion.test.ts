import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readMeasuredFusion } from "./measured-fusion.ts";

const root = new URL("../../../", import.meta.url);
const folder = mkdtempSync(join(tmpdir(), "candor-fusion-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("the measured fusion weight", () => {
  it("of the shipped space names the labelled set it was measured on", async () => {
    const measured = await readMeasuredFusion(new URL("assets/candor-static-256", root).pathname);
    const hash = createHash("sha256");
    for (const set of ["documents", "code"])
      hash.update(readFileSync(new URL(`bench/quality/${set}.json`, root)));
    expect(measured).toMatchObject({ fusionWeight: 0.7, dataHash: `sha256:${hash.digest("hex")}` });
  });

  it("is null where nothing was measured", async () => {
    expect(await readMeasuredFusion(join(folder, "nowhere"))).toBeNull();
  });

  it("is refused when the file says something else", async () => {
    const good = {
      fusionWeight: 1,
      measuredAt: "2026-11-21T00:00:00Z",
      dataHash: `sha256:${"0".repeat(64)}`,
    };
    const write = (content: string) => writeFileSync(join(folder, "quality.json"), content);
    write(JSON.stringify(good));
    expect(await readMeasuredFusion(folder)).toMatchObject({ fusionWeight: 1 });
    for (const bad of [{ fusionWeight: 1.1 }, { measuredAt: "today" }, { dataHash: "md5:0" }]) {
      write(JSON.stringify({ ...good, ...bad }));
      await expect(readMeasuredFusion(folder)).rejects.toMatchObject({ code: "model_invalid" });
    }
    write("{");
    await expect(readMeasuredFusion(folder)).rejects.toMatchObject({ code: "model_invalid" });
  });
});
