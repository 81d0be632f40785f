import { isAbsolute, join } from "node:path";

/** What is wrong with `host` as a name or address to listen on, or null. */
export function hostFault(host: string): string | null {
  if (host.includes("*")) return `${JSON.stringify(host)}: a wildcard is not accepted`;
  if (host.includes("/")) return `${JSON.stringify(host)} is an address with a path or scheme`;
  const named = /^[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9_])?$/i.test(host);
  const [, address = ""] = /^([0-9a-f:.]{2,45})(?:%[a-z0-9]{1,20})?$/i.exec(host) ?? [];
  const numbered = address.includes(":") && URL.canParse(`http://[${address}]/`);
  return named || numbered
    ? null
    : `${JSON.stringify(host)} is not a host name or an IP address (without port and brackets)`;
}

/** Whether only this machine can reach a server that listens on `host`. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  return name === "localhost" || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);
}

/** The version of an IP address, or null for everything else. */
export function addressVersion(address: string): 4 | 6 | null {
  const parts = address.split(".");
  if (parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255))
    return 4;
  return address.includes(":") && URL.canParse(`http://[${address}]/`) ? 6 : null;
}

/** What is wrong with `network` as an IP address or a network in CIDR notation, or null. */
export function networkFault(network: string): string | null {
  const [, address = "", bits] = /^([0-9a-f:.]{2,45})(?:\/(\d{1,3}))?$/i.exec(network) ?? [];
  const version = addressVersion(address);
  const most = version === 4 ? 32 : 128;
  const fits = bits === undefined || (Number(bits) > 0 && Number(bits) <= most);
  return version !== null && fits
    ? null
    : `${JSON.stringify(network)} is not an IP address or a network such as 10.0.0.0/8 (and /0 would trust everybody)`;
}

/** What is wrong with `origin` as a web origin (scheme, host, port), or null. `*` never passes. */
export function originFault(origin: string): string | null {
  if (origin.includes("*"))
    return `${JSON.stringify(origin)}: a wildcard origin is never accepted; name each origin`;
  const parsed = URL.canParse(origin) ? new URL(origin) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    return `${JSON.stringify(origin)} is not an origin such as https://studio.example.org`;
  return parsed.origin === origin
    ? null
    : `${JSON.stringify(origin)} is not the bare origin; write ${parsed.origin}`;
}

/** The scheme of a database address, in lower case, or null where it has none. */
export function databaseScheme(address: string): string | null {
  return /^([a-z][a-z0-9+.-]*):/i.exec(address)?.[1]?.toLowerCase() ?? null;
}

/** What is wrong with `address` as a database address, or null. Never repeats the address: it may hold a password. */
export function databaseFault(address: string): string | null {
  const scheme = databaseScheme(address);
  if (scheme === "postgres" || scheme === "postgresql")
    return "names PostgreSQL, and PostgreSQL is not built yet; use sqlite:FILE";
  if (scheme !== "sqlite")
    return `has ${scheme === null ? "no scheme" : `the unknown scheme ${scheme}:`}; use sqlite:FILE`;
  const file = address.slice("sqlite:".length);
  if (file.startsWith("//"))
    return "starts with sqlite://, which programs read differently; write sqlite:FILE, relative to the data directory or absolute";
  if (file === "" || file.endsWith("/") || file.startsWith(":") || file.startsWith("file:"))
    return "names no file; write sqlite:FILE, relative to the data directory or absolute";
  return file.includes("?") ? "has options after `?`; none are read, so remove them" : null;
}

/** The file of a `sqlite:` address: absolute, or below the data directory `home`. */
export function sqliteFile(address: string, home: string): string {
  const file = address.slice("sqlite:".length);
  return isAbsolute(file) ? file : join(home, file);
}
