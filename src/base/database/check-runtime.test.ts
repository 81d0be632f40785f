import { expect, it } from "vitest";
import { RuntimeTooOldError } from "#base/errors/index.ts";
import { findRuntimeFault } from "./check-runtime.ts";

const sound = { node: "24.21.0", sqlite: "3.53.4" };

it("takes this Node and newer ones", () => {
  const { node, sqlite = "" } = process.versions;
  for (const versions of [
    { node, sqlite },
    sound,
    { ...sound, node: "24.15.0", sqlite: "3.51.3" },
    { ...sound, node: "30.0.0" },
  ])
    expect(findRuntimeFault(versions)).toBeNull();
});

it("names what is too old or withdrawn", () => {
  for (const node of ["24.14.1", "22.30.0", "20.9.0", "nonsense"])
    expect(findRuntimeFault({ ...sound, node })).toContain(`Node ${node} is older than 24.15`);
  for (const sqlite of ["3.51.2", "3.50.9", "3.7.0", "3.52.0", ""])
    expect(findRuntimeFault({ ...sound, sqlite })).toContain(`SQLite ${sqlite} in this Node`);
  expect(new RuntimeTooOldError("x")).toMatchObject({ code: "runtime_too_old", status: 500 });
});
