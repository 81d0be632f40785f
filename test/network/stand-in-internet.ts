import { lookup } from "node:dns";
import { isIP, Socket, type LookupFunction } from "node:net";
import { networkInterfaces } from "node:os";

export type StandIn = {
  /** Every address that a socket set out for, in order. */
  readonly visited: string[];
  readonly restore: () => void;
};

/**
 * From now on this process has an internet of its own: a connection to any address outside this machine goes to
 * 127.0.0.1 at the same port, so that "public" names and addresses answer without a packet leaving the machine.
 * Connections to this machine are left alone, and nothing above the socket is touched.
 */
export function standInForInternet(): StandIn {
  const visited: string[] = [];
  // oxlint-disable-next-line typescript/unbound-method -- called with each socket as its `this`
  const original = Socket.prototype.connect;
  const own = new Set(
    Object.values(networkInterfaces()).flatMap((list) =>
      (list ?? []).map(({ address }) => address),
    ),
  );
  const isHere = (address: string) =>
    own.has(address) || /^(?:127\.|0\.0\.0\.0$|::1?$|::ffff:)/.test(address);
  const replace = Socket.prototype as { connect: unknown };
  replace.connect = function connect(this: Socket & { blockList?: unknown }, ...given: unknown[]) {
    const [first] = given;
    const options = (Array.isArray(first) ? first[0] : first) as {
      host: string;
      lookup?: LookupFunction;
    };
    const divert = (address: string) => {
      visited.push(address);
      if (isHere(address)) return address;
      delete this.blockList;
      return "127.0.0.1";
    };
    const ask = options.lookup ?? (lookup as LookupFunction);
    if (isIP(options.host) !== 0) options.host = divert(options.host);
    else
      options.lookup = (name, how, reply) => {
        ask(name, how, (error, found, family) => {
          if (error !== null) reply(error, found, family);
          else if (typeof found === "string") reply(null, divert(found), isIP(divert(found)));
          else
            reply(
              null,
              found
                .map((each) => divert(each.address))
                .map((address) => ({ address, family: isIP(address) })),
            );
        });
      };
    return Reflect.apply(original, this, given);
  };
  return { visited, restore: () => (replace.connect = original) };
}
