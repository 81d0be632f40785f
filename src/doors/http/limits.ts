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
  /** How long running requests may take to end when the server closes, in ms. */
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
  drainMs: 10_000,
};
