// A client in a process of its own: keeps `connections` open to a server and sends the next request on each as soon as the answer
// to the one before is there. Requests are prepared bytes and answers are only counted, so that the client takes little of the machine.
// Reads a LoadOrder as JSON from its first argument, prints a LoadReport.
import { connect, type Socket } from "node:net";

export type LoadOrder = {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** Requests a second over all connections; null: as many as are answered. */
  readonly rate: number | null;
  /** Each is sent in turn. */
  readonly requests: readonly string[];
};

export type LoadReport = {
  readonly answers: number;
  /** Answers by the first digit of their status. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** Latencies in milliseconds. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
};

/** What is passed over before measuring begins, in milliseconds: code gets compiled, caches fill. */
const warmMs = 1000;

if (import.meta.main) {
  const order = JSON.parse(process.argv[2] ?? "") as LoadOrder;
  process.stdout.write(`${JSON.stringify(await run(order))}\n`);
}

async function run(order: LoadOrder): Promise<LoadReport> {
  const began = performance.now();
  const from = began + warmMs;
  const until = from + order.seconds * 1000;
  const latencies: number[] = [];
  const statuses: Record<string, number> = {};
  let number = 0;
  const next = () => {
    const request = order.requests[number % order.requests.length] ?? "";
    number += 1;
    return request;
  };
  const note = (sent: number, status: string) => {
    const now = performance.now();
    if (sent < from || now > until) return;
    latencies.push(now - sent);
    const family = `${status.slice(0, 1)}xx`;
    statuses[family] = (statuses[family] ?? 0) + 1;
  };
  const pause = order.rate === null ? 0 : (1000 * order.connections) / order.rate;
  await Promise.all(
    Array.from({ length: order.connections }, (_, place) =>
      drive(order.port, { next, note, until, pause, first: (pause * place) / order.connections }),
    ),
  );
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.ceil(share * latencies.length) - 1] ?? Number.NaN;
  return {
    answers: latencies.length,
    statuses,
    seconds: order.seconds,
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
  };
}

type Drive = {
  readonly next: () => string;
  readonly note: (sent: number, status: string) => void;
  readonly until: number;
  /** Milliseconds from one request to the next, and before the first. */
  readonly pause: number;
  readonly first: number;
};

function drive(port: number, { next, note, until, pause, first }: Drive): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket: Socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  let due = performance.now() + first;
  let sent = 0;
  let received = "";
  const send = () => {
    if (performance.now() >= until) {
      socket.end();
      resolve();
      return;
    }
    // With a rate, latency counts from when the request was due: a slow server cannot hide what waited (coordinated omission).
    sent = pause === 0 ? performance.now() : due;
    due += pause;
    socket.write(next());
  };
  const later = () => {
    const wait = pause === 0 ? 0 : due - performance.now();
    if (wait <= 1) send();
    else setTimeout(send, wait);
  };
  socket.on("connect", later);
  socket.on("error", reject);
  socket.on("data", (bytes: Buffer) => {
    received += bytes.toString("latin1");
    const head = received.indexOf("\r\n\r\n");
    if (head < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(received.slice(0, head))?.[1]);
    if (!Number.isFinite(length)) reject(new Error(`no length in ${received.slice(0, head)}`));
    if (received.length < head + 4 + length) return;
    note(sent, received.slice(9, 12));
    received = received.slice(head + 4 + length);
    later();
  });
  return promise;
}
