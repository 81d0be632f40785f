import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { DestinationRefusedError, DestinationUnreachableError } from "#base/errors/index.ts";
import { findRefusal } from "./refused-addresses.ts";

/** Every address of a name, IPv4 and IPv6. Asked once for each hop: the connection goes to what was answered. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** An address that was checked. `isAllowed`: the operator named its origin, so it may be anywhere. */
export type Destination = {
  readonly url: URL;
  readonly addresses: readonly { readonly address: string; readonly family: 4 | 6 }[];
  readonly isAllowed: boolean;
};

/** The ports from 1024 that the Fetch standard blocks because other protocols than HTTP live there ("bad port"). */
const badPorts = new Set(
  "1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080".split(
    " ",
  ),
);

/** Asks the system, its hosts file included. */
export const resolveBySystem: Resolve = async (name) =>
  (await lookup(name, { all: true })).map(({ address }) => address);

/**
 * Reads an address once; everything later uses this one reading. Raises DestinationRefusedError for what is not plain
 * http or https without a user name. Messages show the origin at most: path and query may hold secrets.
 */
export function parseDestination(text: string, base?: URL): URL {
  // Readers of addresses differ in what they make of backslashes and control characters, so nobody gets to see any.
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f\\]/.test(text))
    throw new DestinationRefusedError(
      "The address has a backslash or a control character in it. Write it with percent signs.",
    );
  const url = URL.parse(text, base?.href);
  if (url === null)
    throw new DestinationRefusedError(
      "The address cannot be read. Give a whole one such as https://example.org/path.",
    );
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new DestinationRefusedError(
      `${url.protocol} addresses are not opened, only https: and http:.`,
    );
  if (url.username !== "" || url.password !== "")
    throw new DestinationRefusedError(
      `The address of ${url.origin} has a user name or password in it. Give credentials apart from the address.`,
    );
  // Resolvers differ in what they make of an empty part: `127.0.0.1..` is an address for some.
  if (/^\.|\.\./.test(url.hostname))
    throw new DestinationRefusedError(`${url.host} is no name: a part of it is empty.`);
  return url;
}

/** An origin such as `http://127.0.0.1:4318` in its one spelling; raises DestinationRefusedError when it is more or less than that. */
export function parseOrigin(text: string): string {
  const url = parseDestination(text);
  if (url.href !== `${url.origin}/`)
    throw new DestinationRefusedError(`An origin is scheme, host and port alone: ${url.origin}.`);
  return url.origin;
}

/**
 * Resolves the host of `url` and checks every address of it: one refused address refuses the name, because the
 * connection could go to any of them. Raises DestinationRefusedError, or what the resolver raises.
 */
export async function checkDestination(
  url: URL,
  allowed: ReadonlySet<string>,
  resolve: Resolve,
): Promise<Destination> {
  const isAllowed = allowed.has(url.origin);
  const wrongPort = findPortRefusal(url.port, isAllowed);
  if (wrongPort !== null) throw new DestinationRefusedError(`${url.origin}: ${wrongPort}`);
  const host = hostOf(url);
  const found = isIP(host) === 0 ? await resolve(host) : [host];
  if (found.length === 0)
    throw new DestinationUnreachableError(`The name ${host} has no address. Check its spelling.`);
  const addresses = found.map((address) => {
    // The address is not shown: it would tell a stranger what the names of this network stand for.
    const refusal = isAllowed && isIP(address) !== 0 ? null : findRefusal(address);
    if (refusal !== null)
      throw new DestinationRefusedError(
        `${url.origin} is not opened: ${isIP(host) === 0 ? "the name leads to" : "this is"} ${refusal}.`,
      );
    return { address, family: isIP(address) === 4 ? (4 as const) : (6 as const) };
  });
  return { url, addresses, isAllowed };
}

/** The host without the brackets of an IPv6 address. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "");
}

function findPortRefusal(port: string, isAllowed: boolean): string | null {
  if (port === "0") return "there is no port 0.";
  if (isAllowed || port === "" || port === "80" || port === "443") return null;
  return Number(port) < 1024 || badPorts.has(port)
    ? `port ${port} belongs to another protocol; 80, 443 and most from 1024 are opened.`
    : null;
}
