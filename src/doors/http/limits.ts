/** What one client may take; tests open the door with smaller ones. */
export type HttpLimits = {
  /** Largest JSON body of an operation that takes no bulk, in bytes. */
  readonly jsonBytes: number;
  /** Deepest nesting of a JSON body; the deepest honest input, a filter, has 12. */
  readonly jsonDepth: number;
  /** Request line and headers together, in bytes. */
  readonly headerBytes: number;
  /** Longest path parameter: a document key of 512 characters, percent-encoded. */
  readonly parameterLength: number;
  /** From the connection to the first byte of a request, in ms. */
  readonly connectMs: number;
  /** To receive the headers, and to receive everything but an upload, in ms. */
  readonly receiveMs: number;
  /** How long an unused connection is kept, in ms. */
  readonly keepAliveMs: number;
  /** How often the three limits above are looked at, in ms. */
  readonly checkEveryMs: number;
  /** Between two signs of life on an event stream, in ms. */
  readonly heartbeatMs: number;
  /** How long a client may take nothing of an answer that waits for it, in ms; longer than between two signs of life. */
  readonly stalledMs: number;
  /** How long a client may take for a whole answer that does not fit into the network's buffers, in ms. */
  readonly takingMs: number;
  /** How long one turn of the event loop may answer requests before it refuses those that are left, in ms. */
  readonly lateMs: number;
  /** Requests in one turn up to which none is refused, however long they take: so many connections are no overload. */
  readonly busyRequests: number;
  /** Callers, and addresses, whose requests are counted at the same time. */
  readonly counted: number;
  /** Bodies above `jsonBytes` that are in memory at the same time, together, in bytes. */
  readonly bulkBytes: number;
  /** How long connections in use are still answered when the server closes, so that none breaks on its way, in ms. */
  readonly lingerMs: number;
  /** How long running requests may take to end when the server closes, in ms: the rest of ten seconds is for jobs and the database. */
  readonly drainMs: number;
};

export const httpLimits: HttpLimits = {
  jsonBytes: 1024 * 1024,
  jsonDepth: 100,
  headerBytes: 16 * 1024,
  parameterLength: 6 * 1024,
  connectMs: 10_000,
  receiveMs: 30_000,
  keepAliveMs: 65_000,
  checkEveryMs: 5_000,
  heartbeatMs: 15_000,
  stalledMs: 30_000,
  takingMs: 300_000,
  lateMs: 100,
  busyRequests: 64,
  counted: 10_000,
  bulkBytes: 256 * 1024 * 1024,
  lingerMs: 200,
  drainMs: 7_000,
};
