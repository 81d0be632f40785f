// `npm run sbom`: packs a release and writes its bill of materials (CycloneDX, JSON) beside the tarball in artifacts/: what is
// shipped, each package with version, licence and SHA-512, and the tarball's own SHA-256.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

type Component = {
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly unknown[];
};

/** A bill of materials as npm writes it, as far as it is read here. */
export type BillOfMaterials = {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly serialNumber: string;
  readonly metadata: { readonly component: Component } & Readonly<Record<string, unknown>>;
  readonly components: readonly Component[];
  readonly dependencies: readonly {
    readonly ref: string;
    readonly dependsOn?: readonly string[];
  }[];
};

type Locked = { readonly version: string; readonly integrity: string };

const repository = join(import.meta.dirname, "..");

/**
 * npm's own description of what is locked, cut down to what is shipped and completed by the release's name and the tarball's sum.
 * npm's `--omit=dev` leaves out shipped packages that are used in development too (zod, ajv), so the choice is made here.
 */
export function makeBillOfMaterials(tarball: Uint8Array): BillOfMaterials {
  const words = ["sbom", "--sbom-format=cyclonedx", "--package-lock-only"];
  const written = execFileSync("npm", words, {
    cwd: repository,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const bill = JSON.parse(written) as BillOfMaterials;
  const { name } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as {
    name: string;
  };
  const sum = createHash("sha256").update(tarball).digest("hex");
  const release = bill.metadata.component;
  const shipped = shippedPackages();
  const components = bill.components.filter((one) => shipped.has(`${one.name}@${one.version}`));
  const described = new Set([release, ...components].map((one) => one["bom-ref"]));
  return {
    ...bill,
    metadata: {
      ...bill.metadata,
      // npm takes the folder's name.
      component: { ...release, name, hashes: [{ alg: "SHA-256", content: sum }] },
    },
    components,
    dependencies: bill.dependencies
      .filter(({ ref }) => described.has(ref))
      .map(({ ref, dependsOn = [] }) => ({
        ref,
        dependsOn: dependsOn.filter((each) => described.has(each)),
      })),
  };
}

/** What makes a bill of materials useless or false; empty when it is sound. `locked`: shipped packages by `name@version`. */
export function findBillFaults(
  bill: BillOfMaterials,
  locked: ReadonlyMap<string, Locked>,
): string[] {
  const named = new Map(bill.components.map((one) => [`${one.name}@${one.version}`, one]));
  const references = new Set(
    [bill.metadata.component, ...bill.components].map((one) => one["bom-ref"]),
  );
  const text = JSON.stringify(bill);
  return [
    ...(bill.bomFormat === "CycloneDX" && /^1\.[5-9]$/.test(bill.specVersion)
      ? []
      : ["is not CycloneDX 1.5 or later"]),
    ...(/^urn:uuid:[0-9a-f-]{36}$/.test(bill.serialNumber) ? [] : ["has no serial number"]),
    ...(bill.metadata.component.hashes?.some(({ alg }) => alg === "SHA-256")
      ? []
      : ["has no sum of the release"]),
    ...[...locked].flatMap(([name, { integrity }]) => {
      const component = named.get(name);
      if (!component) return [`does not name ${name}`];
      const sum = Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex");
      const isSame = component.hashes?.some(
        ({ alg, content }) => alg === "SHA-512" && content === sum,
      );
      return [
        ...(isSame ? [] : [`has another sum for ${name} than the lockfile`]),
        ...(component.licenses?.length ? [] : [`names no licence of ${name}`]),
      ];
    }),
    ...[...named.keys()]
      .filter((name) => !locked.has(name))
      .map((name) => `names ${name}, which is not shipped`),
    ...bill.dependencies.flatMap(({ ref, dependsOn = [] }) =>
      [ref, ...dependsOn]
        .filter((each) => !references.has(each))
        .map((each) => `refers to ${each}, which it does not describe`),
    ),
    ...(text.includes(repository) ? ["holds a path of this machine"] : []),
    ...(/"type":"distribution"/.test(text)
      ? ["holds an address that a package was downloaded from"]
      : []),
  ];
}

/** The shipped packages of the lockfile by `name@version`. */
export function shippedPackages(): Map<string, Locked> {
  const lock = JSON.parse(readFileSync(join(repository, "package-lock.json"), "utf8")) as {
    packages: Record<string, Locked & { dev?: boolean; devOptional?: boolean }>;
  };
  return new Map(
    Object.entries(lock.packages).flatMap(([place, entry]) => {
      if (place === "" || entry.dev || entry.devOptional) return [];
      return [[`${place.slice(place.lastIndexOf("node_modules/") + 13)}@${entry.version}`, entry]];
    }),
  );
}

/** Packs the release, writes both files and says where they are; a faulty bill is not written. */
function run(): void {
  const artifacts = join(repository, "artifacts");
  mkdirSync(artifacts, { recursive: true });
  const folder = mkdtempSync(join(artifacts, "pack-"));
  try {
    execFileSync("npm", ["run", "package", "--", "--pack-destination", folder], {
      cwd: repository,
      stdio: ["ignore", "ignore", "inherit"],
    });
    const [name] = readdirSync(folder);
    if (name === undefined) throw new Error("npm pack made no file");
    const bill = makeBillOfMaterials(readFileSync(join(folder, name)));
    const faults = findBillFaults(bill, shippedPackages());
    if (faults.length > 0) throw new Error(`The bill of materials ${faults.join("; ")}.`);
    const target = join(artifacts, name);
    renameSync(join(folder, name), target);
    const place = target.replace(/\.tgz$/, ".cdx.json");
    writeFileSync(place, `${JSON.stringify(bill, null, 2)}\n`);
    const sum = bill.metadata.component.hashes?.[0]?.content;
    process.stdout.write(
      `${target}\n  SHA-256 ${sum}\n${place}\n  ${bill.components.length} packages\n`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) run();
