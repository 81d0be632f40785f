import { request as openHttp, type ClientRequest, type IncomingMessage } from "node:http";
import { request as openHttps, type RequestOptions } from "node:https";
import { isIP, type BlockList, type LookupFunction } from "node:net";
import { Readable } from "node:stream";
import { TLSSocket } from "node:tls";
import {
  type CandorError,
  DestinationRefusedError,
  DestinationUnreachableError,
} from "#base/errors/index.ts";
import { hostOf, type Destination } from "./check-destination.ts";
import { isBytes, type Message, type OutgoingLimits } from "./outgoing-request.ts";
import { refusedAddresses } from "./refused-addresses.ts";
import { tooSlow, untilStopped, type Watch } from "./watch-exchange.ts";

/** Largest head of an answer, in bytes; Node's own limit, whatever its command line says. */
const largestHeadBytes = 16 * 1024;

/** Sends one message where `check` says, and gives the answer as soon as its head is there. Raises what happens on the wire. */
export async function openHop(
  message: Message,
  check: () => Promise<Destination>,
  limits: OutgoingLimits,
  watch: Watch,
): Promise<IncomingMessage> {
  const { origin } = message.url;
  const { connectMs, idleMs } = limits;
  const connecting = setTimeout(
    () => watch.stop(tooSlow(origin, "could not be connected", connectMs)),
    connectMs,
  );
  try {
    const destination = await untilStopped(watch, check);
    watch.signal.throwIfAborted();
    return await new Promise((resolve, reject) => {
      const sent = open(destination, message);
      const stop = () => sent.destroy();
      watch.signal.addEventListener("abort", stop, { once: true });
      sent.on("socket", (socket) =>
        socket.once(socket instanceof TLSSocket ? "secureConnect" : "connect", () =>
          clearTimeout(connecting),
        ),
      );
      sent.setTimeout(idleMs, () => watch.stop(tooSlow(origin, "said nothing", idleMs)));
      sent.on("response", (answer) => {
        sent.setTimeout(0);
        resolve(answer);
      });
      sent.on("error", (error) => reject(certificateFault(sent, origin, error) ?? error));
      sent.on("close", () => {
        watch.signal.removeEventListener("abort", stop);
        reject(
          new DestinationUnreachableError(`${origin} closed the connection without an answer.`),
        );
      });
      sendBody(sent, message.body, watch);
    });
  } finally {
    clearTimeout(connecting);
  }
}

function open({ url, addresses, isAllowed }: Destination, message: Message): ClientRequest {
  const host = hostOf(url);
  const openRequest = url.protocol === "https:" ? openHttps : openHttp;
  const options: RequestOptions & { blockList?: BlockList } = {
    method: message.method,
    host,
    port: url.port,
    path: `${url.pathname}${url.search}`,
    headers: { ...message.headers, "accept-encoding": "identity", ...lengthOf(message) },
    // A connection of its own: none in a pool was checked for this request. It also knows no proxy of the environment.
    agent: false,
    // The name is not asked for again, so nobody can answer differently now.
    lookup: lookupChecked(addresses),
    // The socket looks once more at the address that it really connects to.
    ...(!isAllowed && { blockList: refusedAddresses }),
    // The certificate is that of the name, not of the address; said here so that the environment cannot switch it off.
    servername: isIP(host) === 0 ? host.replace(/\.$/, "") : "",
    rejectUnauthorized: true,
    insecureHTTPParser: false,
    maxHeaderSize: largestHeadBytes,
  };
  const sent = openRequest(options);
  // Node drops what is over 2,000 headers in silence; their size is limited instead.
  sent.maxHeadersCount = 0;
  return sent;
}

function lookupChecked(addresses: Destination["addresses"]): LookupFunction {
  return (name, options, answer) => {
    const [first] = addresses;
    if (options.all === true) answer(null, [...addresses]);
    else if (first) answer(null, first.address, first.family);
    else answer(new Error(`${name} has no checked address`), "", 0);
  };
}

function lengthOf({ body }: Message): Record<string, number> {
  return body !== null && isBytes(body) ? { "content-length": Buffer.byteLength(body) } : {};
}

function sendBody(sent: ClientRequest, body: Message["body"], watch: Watch): void {
  if (body === null || isBytes(body)) {
    sent.end(body ?? undefined);
    return;
  }
  const source = Readable.from(body, { objectMode: false });
  source.on("error", (error) => watch.stop(error));
  sent.on("close", () => source.destroy());
  source.pipe(sent);
}

function certificateFault(
  { socket }: ClientRequest,
  origin: string,
  error: Error & { code?: string },
): CandorError | null {
  // Typed as an error, null while nothing is wrong.
  const isRefused = socket instanceof TLSSocket && Boolean(socket.authorizationError);
  if (!isRefused) return null;
  return new DestinationRefusedError(
    `The certificate of ${origin} is not valid for it (${error.code ?? error.message}). Trust an authority of your own with NODE_EXTRA_CA_CERTS.`,
    { cause: error },
  );
}
