import type { ConfigurationFault } from "./faults.ts";
import type { Layer } from "./layers.ts";

/** The variables that together build a database address. */
export const databasePartNames = [
  "DATABASE_HOST",
  "DATABASE_PORT",
  "DATABASE_USER",
  "DATABASE_PASSWORD",
  "DATABASE_NAME",
] as const;
type PartName = (typeof databasePartNames)[number];

type Source = {
  readonly layer: Layer;
  readonly values: Readonly<Record<string, string | undefined>>;
};

/**
 * Gives `database.url` to the layer that names DATABASE_HOST, built from the strongest value of each part (a password may stand in
 * the environment and the rest in a file). Parts that make no address are a fault, parts beside a complete address a warning.
 */
export function addDatabaseParts(
  sources: readonly Source[],
  layers: readonly Layer[],
  addFault: (fault: ConfigurationFault) => void,
): void {
  const ranked = sources.toSorted((a, b) => layers.indexOf(a.layer) - layers.indexOf(b.layer));
  const part = (name: PartName) =>
    ranked.map(({ values }) => values[name]).find((value) => value !== undefined);
  const present = databasePartNames.filter((name) => part(name) !== undefined);
  if (present.length === 0) return;
  const key = "database.url";
  const holder = ranked.find(({ values }) => values["DATABASE_HOST"] !== undefined);
  const complete = layers.some((layer) => layer.given.has(key));
  if (holder === undefined && complete) {
    addFault({
      key,
      code: "variable_unused",
      message: `${present.join(", ")} ${present.length === 1 ? "has" : "have"} no effect: database.url is given whole.`,
      severity: "warning",
    });
    return;
  }
  const host = part("DATABASE_HOST");
  const name = part("DATABASE_NAME");
  if (holder === undefined || !host || !name) {
    const missing = [host ? null : "DATABASE_HOST", name ? null : "DATABASE_NAME"].filter(Boolean);
    addFault({
      key,
      code: "database_parts",
      message: `${present.join(", ")} make no database address without ${missing.join(" and ")}.`,
      severity: "fault",
    });
    return;
  }
  const built = buildPostgresAddress({
    host,
    name,
    port: part("DATABASE_PORT"),
    user: part("DATABASE_USER"),
    password: part("DATABASE_PASSWORD"),
  });
  const other = holder.layer.given.get(key);
  if (other !== undefined && other.value !== built)
    addFault({
      key,
      code: "names_disagree",
      message: `database.url: ${other.variable} and DATABASE_HOST with its companions give different addresses; keep one.`,
      severity: "fault",
    });
  else holder.layer.given.set(key, { value: built, variable: "DATABASE_HOST" });
}

/** A PostgreSQL address with every part URL-encoded, so that a password may hold any character. */
export function buildPostgresAddress(parts: {
  readonly host: string;
  readonly name: string;
  readonly port?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
}): string {
  const encode = (value: string | undefined) => (value ? encodeURIComponent(value) : "");
  const login = encode(parts.user) + (parts.password ? `:${encode(parts.password)}` : "");
  const host = parts.host.includes(":") ? `[${parts.host}]` : encode(parts.host);
  const port = parts.port ? `:${encode(parts.port)}` : "";
  return `postgres://${login === "" ? "" : `${login}@`}${host}${port}/${encode(parts.name)}`;
}
