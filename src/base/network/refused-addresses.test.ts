import type { NetworkInterfaceInfo } from "node:os";
import { expect, test } from "vitest";
import { findRefusal } from "./refused-addresses.ts";

const interfaces = (...addresses: string[]) =>
  ({ eth0: addresses.map((address) => ({ address }) as NetworkInterfaceInfo) }) as const;

test.each([
  ["127.0.0.1", "the loopback interface"],
  ["::ffff:127.0.0.1", "the loopback interface"],
  ["169.254.169.254", "the metadata service of a cloud"],
  ["169.254.1.1", "the local link"],
  ["10.1.2.3", "a private network"],
  ["fd00::1", "a private network"],
  ["100.64.0.1", "a provider's shared network"],
  ["64:ff9b::8.8.8.8", "an IPv4 address written as IPv6"],
  ["::ffff:8.8.8.8", "outside the internet"],
  ["1234::", "outside the internet"],
  ["fe80::1%eth0", "no address"],
  ["2606:2800::1%eth0", "no address"],
  ["0x7f.1", "no address"],
])("%s is %s", (address, what) => expect(findRefusal(address, interfaces)).toBe(what));

test("a public address of this machine is refused like every other one of it", () => {
  const own = () => interfaces("93.184.216.34", "2606:2800:220:1::1", "fe80::1");
  for (const address of ["93.184.216.34", "2606:2800:220:1::1", "2606:2800:220:1:0:0:0:1"])
    expect(findRefusal(address, own)).toBe("an address of this machine");
  expect(findRefusal("93.184.216.35", own)).toBeNull();
  expect(findRefusal("2606:2800:220:1::2", own)).toBeNull();
});
