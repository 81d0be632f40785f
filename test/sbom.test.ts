import { createHash } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import {
  type BillOfMaterials,
  findBillFaults,
  makeBillOfMaterials,
  shippedPackages,
} from "../scripts/make-sbom.ts";

const tarball = Buffer.from("the bytes of a release");
const shipped = shippedPackages();
let bill: BillOfMaterials;
beforeAll(() => {
  bill = makeBillOfMaterials(tarball);
});

test("the bill of materials names the release with its sum and every shipped package, and nothing of this machine", () => {
  expect(findBillFaults(bill, shipped)).toEqual([]);
  expect(bill.metadata.component).toMatchObject({
    name: "candor",
    hashes: [{ alg: "SHA-256", content: createHash("sha256").update(tarball).digest("hex") }],
  });
  expect(bill.components.length).toBe(shipped.size);
  expect(bill.components.map(({ name }) => name)).not.toContain("vitest");
});

test.each<[string, (bill: BillOfMaterials) => BillOfMaterials, RegExp]>([
  [
    "without a package",
    (one) => ({ ...one, components: one.components.slice(1) }),
    /does not name/,
  ],
  [
    "with another sum",
    (one) => ({ ...one, components: one.components.map((part) => ({ ...part, hashes: [] })) }),
    /has another sum for/,
  ],
  [
    "without licences",
    (one) => ({ ...one, components: one.components.map((part) => ({ ...part, licenses: [] })) }),
    /names no licence of/,
  ],
  [
    "with a package for development",
    (one) => ({
      ...one,
      components: [
        ...one.components,
        { "bom-ref": "x", name: "vitest", version: "1.0.0", purl: "pkg:npm/vitest@1.0.0" },
      ],
    }),
    /names vitest@1\.0\.0, which is not shipped/,
  ],
  [
    "of a release without a sum",
    (one) => ({ ...one, metadata: { component: { ...one.metadata.component, hashes: [] } } }),
    /has no sum of the release/,
  ],
  [
    "with a place of this machine",
    (one) => ({ ...one, metadata: { ...one.metadata, place: import.meta.dirname } }),
    /holds a path of this machine/,
  ],
  ["in another format", (one) => ({ ...one, bomFormat: "SPDX" }), /is not CycloneDX/],
])("one %s is faulty", (_what, spoil, fault) => {
  expect(findBillFaults(spoil(bill), shipped).join("\n")).toMatch(fault);
});
