/** A scalar as it stands in the file. */
export type PlainValue = string | number | boolean | null;

/** A file as SOPS writes it (https://getsops.io/docs), with one value per name. */
export type SopsDocument = {
  /** In the order of the file, which the sum over all values follows. */
  readonly entries: readonly (readonly [name: string, value: PlainValue])[];
  readonly lastModified: string;
  readonly mac: string;
  /** Whether the sum covers encrypted values only. */
  readonly macOnlyEncrypted: boolean;
  /** The data key, sealed for each age recipient. */
  readonly age: readonly string[];
  /** Other services that could open the data key (`pgp`, `kms`, …). */
  readonly otherKeys: readonly string[];
  /** Whether the data key is split among groups of keys (Shamir). */
  readonly isSplit: boolean;
};

export type ReadSopsDocument =
  | { readonly document: SopsDocument }
  | { readonly fault: string; readonly nextStep: string };

type Fields = Readonly<Record<string, unknown>>;

const keyServices = ["pgp", "kms", "gcp_kms", "azure_kv", "hc_vault", "hckms"];

/** Reads JSON or dotenv as SOPS writes it. What is wrong is told without any content of the file. */
export function readSopsDocument(text: string, path: string): ReadSopsDocument {
  if (/^\s*\{/.test(text)) return readJson(text, path);
  if (/\.ya?ml$/i.test(path) || /^sops:\s*$/m.test(text))
    return {
      fault: "is YAML, which Candor does not read",
      nextStep: `Convert it: sops decrypt --output-type dotenv ${path} | sops encrypt --input-type dotenv --output-type dotenv --filename-override secrets.env /dev/stdin > secrets.env`,
    };
  return readDotenv(text, path);
}

function plainFault(path: string, kind: string): ReadSopsDocument {
  return {
    fault: "is not encrypted with SOPS: it has no metadata of SOPS",
    nextStep: `Encrypt it: sops encrypt --age <recipient> --input-type ${kind} --output-type ${kind} --in-place ${path}`,
  };
}

function malformed(fault: string): ReadSopsDocument {
  return { fault, nextStep: "Write it anew with sops encrypt." };
}

function readJson(text: string, path: string): ReadSopsDocument {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    return malformed("begins like JSON, but is not valid JSON");
  }
  const { sops, ...rest } = parsed as Fields;
  if (!isFields(sops)) return plainFault(path, "json");
  const entries: [string, PlainValue][] = [];
  for (const [name, value] of Object.entries(rest)) {
    // JavaScript would move it before the others, and the sum would not fit.
    if (/^\d+$/.test(name)) return malformed(`holds ${name}, which is no name of a variable`);
    if (!isPlain(value))
      return {
        fault: `holds a list or an object at ${JSON.stringify(name.slice(0, 100))}`,
        nextStep: "Give every name one value, as environment variables have.",
      };
    entries.push([name, value]);
  }
  return toDocument(entries, sops);
}

/** Lines `NAME=value`; `\n` in a value stands for a line end, and names that begin with `sops_` are the metadata, flattened. */
function readDotenv(text: string, path: string): ReadSopsDocument {
  const entries: [string, PlainValue][] = [];
  const metadata: Record<string, string> = {};
  for (const [index, line] of text.replaceAll("\r\n", "\n").split("\n").entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const split = line.indexOf("=");
    if (split < 0) return malformed(`has no NAME=value in line ${index + 1}`);
    const name = line.slice(0, split);
    const value = line.slice(split + 1).replaceAll(String.raw`\n`, "\n");
    if (name.startsWith("sops_")) metadata[name.slice(5)] = value;
    else entries.push([name, value]);
  }
  if (Object.keys(metadata).length === 0) return plainFault(path, "dotenv");
  return toDocument(entries, unflatten(metadata));
}

/** `age__list_0__map_enc` is the field `enc` of the first entry of `age`. */
function unflatten(metadata: Readonly<Record<string, string>>): Fields {
  const fields: Record<string, unknown> = {};
  const lists = new Map<string, Map<number, Record<string, string>>>();
  for (const [name, value] of Object.entries(metadata)) {
    const [, list, place, field] = /^(\w+?)__list_(\d{1,4})__map_(\w+)$/.exec(name) ?? [];
    if (list === undefined || place === undefined || field === undefined) {
      fields[name.replace(/__list_.*$/, "")] = value;
      continue;
    }
    const members = lists.get(list) ?? new Map<number, Record<string, string>>();
    members.set(Number(place), { ...members.get(Number(place)), [field]: value });
    lists.set(list, members);
  }
  for (const [name, members] of lists) fields[name] = [...members.values()];
  return fields;
}

function toDocument(entries: SopsDocument["entries"], sops: Fields): ReadSopsDocument {
  const { mac, lastmodified, age, mac_only_encrypted: only } = sops;
  if (typeof mac !== "string" || mac === "" || typeof lastmodified !== "string")
    return malformed("has no sum over its values (sops.mac and sops.lastmodified)");
  const sealed = (Array.isArray(age) ? age : []).flatMap((member: unknown) =>
    isFields(member) && typeof member["enc"] === "string" ? [member["enc"]] : [],
  );
  return {
    document: {
      entries,
      mac,
      lastModified: lastmodified,
      macOnlyEncrypted: only === true || only === "true",
      age: sealed,
      otherKeys: keyServices.filter((name) => {
        const members = sops[name];
        return Array.isArray(members) && members.length > 0;
      }),
      isSplit: ["key_groups", "shamir_threshold"].some((name) => {
        const value = sops[name];
        return value !== undefined && value !== null && value !== 0 && value !== "0";
      }),
    },
  };
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPlain(value: unknown): value is PlainValue {
  return value === null || ["string", "number", "boolean"].includes(typeof value);
}
