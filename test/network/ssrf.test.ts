import { get } from "node:http";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createOutgoing, type OutgoingOptions } from "#base/network/index.ts";
import {
  liveHosts,
  liveHosts6,
  openAddresses,
  refusedHosts,
  refusedNames,
  refusedRanges,
  refusedUrls,
} from "./ssrf-addresses.ts";
import { openCanary, read, type Canary } from "./local-servers.ts";
import { standInForInternet, type StandIn } from "./stand-in-internet.ts";

let canary: Canary;
/** A public server that sends everybody on to where its query says. */
let redirecting: Canary;
let internet: StandIn;

beforeAll(async () => {
  canary = await openCanary();
  redirecting = await openCanary((request, response) => {
    const to = new URL(request.url ?? "", "http://x").searchParams.get("to") ?? "";
    response.writeHead(302, { location: Buffer.from(to, "utf8").toString("latin1") }).end();
  });
  internet = standInForInternet();
});
afterAll(async () => {
  internet.restore();
  await canary.close();
  await redirecting.close();
});
beforeEach(() => {
  internet.visited.length = 0;
  canary.hits.length = 0;
  redirecting.hits.length = 0;
});

const publicAddress = "93.184.216.34";
const at = (template: string) => template.replaceAll("{port}", String(canary.port));
const hostUrl = (host: string) => `http://${host}:${canary.port}/`;
const bracketed = (address: string) => (isIP(address) === 6 ? `[${address}]` : address);
const edges = refusedRanges.flatMap(([, first, last]) => [first, last]);

/** Every name is public unless `names` says otherwise. */
function outgoing(
  names: Readonly<Record<string, readonly string[]>> = {},
  options: OutgoingOptions = {},
) {
  return createOutgoing({
    resolve: async (name) => names[name] ?? [publicAddress],
    ...options,
  });
}

/** The code of the error that `url` is answered with, or what was reached. */
async function outcome(client: ReturnType<typeof createOutgoing>, url: string): Promise<string> {
  try {
    const reply = await client.request({ url, limits: { timeoutMs: 20_000 } });
    return `reached: ${await read(reply)}`;
  } catch (thrown) {
    return (thrown as { code?: string }).code ?? String(thrown);
  }
}

async function outcomes(
  client: ReturnType<typeof createOutgoing>,
  urls: readonly string[],
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const url of urls) found[url] = await outcome(client, url);
  return found;
}

const allRefused = (urls: readonly string[]) =>
  Object.fromEntries(urls.map((url) => [url, "destination_refused"]));

const direct = () => [
  ...refusedHosts.map(hostUrl),
  ...edges.map((address) => hostUrl(bracketed(address))),
  ...refusedUrls.map(at),
];

describe("the canary", () => {
  const hosts = [
    ...liveHosts,
    ...(Object.values(networkInterfaces()).some((list) =>
      list?.some((each) => each.address === "::1"),
    )
      ? liveHosts6
      : []),
  ];
  test.each(hosts)("hears what is opened at %s", async (host) => {
    await new Promise((resolve, reject) => get(hostUrl(host), resolve).on("error", reject));
    expect(canary.hits).toHaveLength(1);
  });

  test("is reached exactly once by the one client that was told its origin", async () => {
    const origin = `http://127.0.0.1:${canary.port}`;
    const told = outgoing({ localhost: ["127.0.0.1"] }, { allow: [origin] });
    expect(await outcome(told, `${origin}/path?a=1`)).toBe("reached: here");
    expect(canary.hits.map(({ path }) => path)).toEqual(["/path?a=1"]);
    expect(await outcome(outgoing(), origin)).toBe("destination_refused");
    for (const other of ["127.0.0.2", "localhost", "[::1]", "[::ffff:7f00:1]"])
      expect(await outcome(told, hostUrl(other))).toBe("destination_refused");
    expect(await outcome(told, `http://127.0.0.1:${redirecting.port}`)).toBe("destination_refused");
    expect(canary.hits).toHaveLength(1);
  });
});

test("the matrix has at least 150 different addresses", () => {
  expect(new Set([...direct(), ...Object.keys(refusedNames)]).size).toBeGreaterThan(250);
});

test("no address of the matrix is connected when it is given", async () => {
  expect(await outcomes(outgoing(), direct())).toEqual(allRefused(direct()));
  expect(internet.visited).toEqual([]);
  expect(canary.hits).toEqual([]);
});

test("no address of the matrix is connected when a public server redirects to it", async () => {
  // What has no scheme, or not two slashes after it, is a path of the server that said it; a header holds no line ends.
  const targets = direct().filter(
    (url) =>
      /^\s*(?:[a-z+-]+:|\/\/)/i.test(url) &&
      !/^http:\/?[^/\\]/i.test(url) &&
      !["\u0000", "\r", "\n"].some((each) => url.includes(each)),
  );
  const urls = targets.map(
    (url) => `http://good.test:${redirecting.port}/?to=${encodeURIComponent(url)}`,
  );
  expect(targets.length).toBeGreaterThan(200);
  expect(await outcomes(outgoing(), urls)).toEqual(allRefused(urls));
  expect(redirecting.hits).toHaveLength(targets.length);
  expect(new Set(internet.visited)).toEqual(new Set([publicAddress]));
  expect(canary.hits).toEqual([]);
});

test("no name that leads inside is connected, whatever else it leads to", async () => {
  const names = Object.keys(refusedNames);
  const resolved = Object.fromEntries(
    Object.entries(refusedNames).map(([name, found]) => [
      new URL(`http://${name}`).hostname,
      found,
    ]),
  );
  expect(await outcomes(outgoing(resolved), names.map(hostUrl))).toEqual(
    allRefused(names.map(hostUrl)),
  );
  const real = createOutgoing();
  expect(await outcome(real, hostUrl("localhost"))).toBe("destination_refused");
  expect(internet.visited).toEqual([]);
  expect(canary.hits).toEqual([]);
});

test.each([
  ["alone", (address: string) => [address]],
  ["after a good one", (address: string) => [publicAddress, address]],
  ["before a good one", (address: string) => [address, publicAddress]],
])("no edge of a range is connected when a name leads to it, %s", async (_, answer) => {
  for (const address of edges) {
    const client = outgoing({ "name.test": answer(address) });
    expect([address, await outcome(client, hostUrl("name.test"))]).toEqual([
      address,
      "destination_refused",
    ]);
  }
  expect(internet.visited).toEqual([]);
  expect(canary.hits).toEqual([]);
});

test("a name is asked for once, so a second answer has no effect (rebinding)", async () => {
  let asked = 0;
  const client = createOutgoing({
    resolve: async () => [asked++ === 0 ? publicAddress : "127.0.0.1"],
  });
  expect(await outcome(client, hostUrl("rebinding.test"))).toBe("reached: here");
  expect({ asked, visited: internet.visited }).toEqual({ asked: 1, visited: [publicAddress] });
  expect(await outcome(client, hostUrl("rebinding.test"))).toBe("destination_refused");
  expect(canary.hits).toHaveLength(1);
});

test("each hop asks again: a name that turns to this machine between two hops is refused", async () => {
  let asked = 0;
  const client = createOutgoing({
    resolve: async () => [asked++ === 0 ? publicAddress : "127.0.0.1"],
  });
  const again = encodeURIComponent(`http://turning.test:${canary.port}/`);
  const url = `http://turning.test:${redirecting.port}/?to=${again}`;
  expect(await outcome(client, url)).toBe("destination_refused");
  expect({ asked, hits: redirecting.hits.length, canary: canary.hits.length }).toEqual({
    asked: 2,
    hits: 1,
    canary: 0,
  });
});

test("the socket refuses what a resolver slipped past the check", async () => {
  // What the check reads and what the connection reads of this list differ; the socket looks at the address itself.
  const answers = [publicAddress];
  const first = [[publicAddress], ["127.0.0.1"]];
  Object.defineProperty(answers, "map", {
    value: (to: (address: string) => object) => {
      to(publicAddress);
      return first[1]?.map((address) => ({ address, family: 4 }));
    },
  });
  const client = createOutgoing({ resolve: async () => answers });
  expect(await outcome(client, hostUrl("slipped.test"))).toBe("destination_refused");
  expect({ visited: internet.visited, hits: canary.hits }).toEqual({
    visited: ["127.0.0.1"],
    hits: [],
  });
});

test("the neighbours of the ranges are the open internet", async () => {
  for (const address of openAddresses) {
    expect([address, await outcome(outgoing(), hostUrl(bracketed(address)))]).toEqual([
      address,
      "reached: here",
    ]);
    const named = outgoing({ "name.test": [address] });
    expect(await outcome(named, hostUrl("name.test"))).toBe("reached: here");
  }
  expect(internet.visited).toEqual(openAddresses.flatMap((address) => [address, address]));
});
