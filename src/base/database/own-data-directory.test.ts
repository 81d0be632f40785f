import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { freshFolder } from "../../../test/fixtures/rooms/open-rooms.ts";
import { ownDataDirectory } from "./index.ts";

const child = fileURLToPath(
  new URL("../../../test/fixtures/rooms/own-until-killed.ts", import.meta.url),
);

it("lets one process own a data directory, and another only after its end, however it ended", async () => {
  const run = freshFolder(onTestFinished);
  const first = ownDataDirectory(run);
  const refused = spawn(process.execPath, [child, run], { stdio: ["ignore", "ignore", "pipe"] });
  let reason = "";
  refused.stderr.on("data", (text) => (reason += String(text)));
  await once(refused, "close");
  expect(reason).toContain("Another process owns the data directory");
  first.release();
  first.release();

  const owner = spawn(process.execPath, [child, run], { stdio: ["ignore", "pipe", "inherit"] });
  await once(owner.stdout, "data");
  expect(() => ownDataDirectory(run)).toThrow(
    expect.objectContaining({ code: "data_directory_in_use" }),
  );
  owner.kill("SIGKILL");
  await once(owner, "close");
  ownDataDirectory(run).release();
});

it("says why a directory cannot be locked at all", () => {
  expect(() => ownDataDirectory("/does/not/exist")).toThrow(
    expect.objectContaining({ code: "data_directory_unusable" }),
  );
});
