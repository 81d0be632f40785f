import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";

/**
 * What a stranger's address may not lead to: every range of the IANA registries of special-purpose addresses that is not
 * open to the whole internet (RFC 6890 and its updates, read 2026-11), and what clouds keep for their own hosts. None of
 * them may hold `::ffff:0:0/96`: a BlockList takes an IPv4 address for the mapped one of it.
 */
const refusedRanges: Readonly<Record<string, readonly string[]>> = {
  "the loopback interface": ["127.0.0.0/8", "::1/128"],
  "no address of a host": ["0.0.0.0/8", "::/128"],
  "the metadata service of a cloud": [
    "169.254.169.254/32",
    "100.100.100.200/32",
    "192.0.0.192/32",
    "168.63.129.16/32",
    "fd00:ec2::254/128",
    "fd20:ce::254/128",
  ],
  "a private network": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"],
  "the local link": ["169.254.0.0/16", "fe80::/10"],
  "a provider's shared network": ["100.64.0.0/10"],
  "a multicast group": ["224.0.0.0/4", "ff00::/8"],
  "an IPv4 address written as IPv6": [
    "::/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2001::/32",
    "2002::/16",
  ],
  "a range kept for documentation or tests": [
    "192.0.2.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "2001:db8::/32",
    "3fff::/20",
  ],
  "a range kept for protocols": ["192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4", "2001::/23"],
};

/** Of IPv6 only 2000::/3 is handed out (RFC 3513), so nothing else needs to be listed. Mapped addresses are in here too. */
const outsideIPv6 = toBlockList(["::/3", "4000::/2", "8000::/1"]);

const lists = Object.entries(refusedRanges).map(([what, ranges]) => ({
  what,
  list: toBlockList(ranges),
}));

/** The ranges at once, for the socket's own check of the address that it connects to. */
export const refusedAddresses = toBlockList(Object.values(refusedRanges).flat());

/** What `address` is when nobody may be sent there, null for an address of the open internet. */
export function findRefusal(
  address: string,
  interfaces: typeof networkInterfaces = networkInterfaces,
): string | null {
  const family = toFamily(address);
  if (family === null) return "no address";
  const refused = lists.find(({ list }) => list.check(address, family));
  if (refused !== undefined) return refused.what;
  if (family === "ipv6" && outsideIPv6.check(address, family)) return "outside the internet";
  // What listens on a public address of this machine may be meant for this machine alone.
  const own = new BlockList();
  for (const each of Object.values(interfaces()).flatMap((entries) => entries ?? [])) {
    const ownFamily = toFamily(each.address);
    if (ownFamily !== null) own.addAddress(each.address, ownFamily);
  }
  return own.check(address, family) ? "an address of this machine" : null;
}

/** The family of a plain address; null for a name, and for an address with a zone, which only the local link has. */
function toFamily(address: string): "ipv4" | "ipv6" | null {
  const version = isIP(address);
  if (version === 0 || address.includes("%")) return null;
  return version === 4 ? "ipv4" : "ipv6";
}

function toBlockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = "", bits] = range.split("/");
    list.addSubnet(network, Number(bits), network.includes(":") ? "ipv6" : "ipv4");
  }
  return list;
}
