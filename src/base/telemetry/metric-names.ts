/**
 * A label's values: the whole closed list, or `ours` for names that Candor's own tables bound (routes, operations, codes of the
 * catalogue, kinds of jobs, pools, spaces). No text of a caller and no id of a thing that callers make is ever one.
 */
type LabelValues = readonly string[] | "ours";

type MetricDefinition = {
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly labels: Readonly<Record<string, LabelValues>>;
};

/** Methods of HTTP by their own name; every other one is `other`. */
export const httpMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

/** Counters that code adds to by `metrics.count`: all values of their labels stand here. */
export const countedMetrics = {
  candor_refusals_total: {
    type: "counter",
    help: "Requests and connections refused before any work was done, by reason.",
    labels: {
      reason: [
        "rate_limit",
        "overloaded",
        "too_many_connections",
        "host",
        "origin",
        "too_large",
        "too_slow",
        "slow_reader",
        "malformed",
        "ending",
      ],
    },
  },
  candor_spans_total: {
    type: "counter",
    help: "Spans of traces, by what became of them; everything but sent was dropped.",
    labels: {
      outcome: [
        "sent",
        "queue_full",
        "unreachable",
        "refused",
        "rejected",
        "unconfirmed",
        "ending",
      ],
    },
  },
} as const satisfies Record<string, MetricDefinition>;

/** Counters with a method of their own. */
export const eventMetrics = {
  candor_http_requests_total: {
    type: "counter",
    help: "HTTP requests that ended, by method, route pattern and status; 499: the client was gone first.",
    labels: { method: "ours", route: "ours", status: "ours" },
  },
  candor_operations_total: {
    type: "counter",
    help: "Operations that were run, by outcome.",
    labels: { operation: "ours", outcome: "ours" },
  },
  candor_errors_total: {
    type: "counter",
    help: "Errors, by code of the catalogue.",
    labels: { code: "ours" },
  },
  candor_embeddings_total: {
    type: "counter",
    help: "Texts that were to be embedded, by outcome.",
    labels: { space: "ours", outcome: "ours" },
  },
  candor_job_items_total: {
    type: "counter",
    help: "Items that jobs worked on, by outcome.",
    labels: { kind: "ours", outcome: "ours" },
  },
  candor_jobs_ended_total: {
    type: "counter",
    help: "Jobs that ended, by kind and end state.",
    labels: { kind: "ours", state: "ours" },
  },
  candor_series_folded_total: {
    type: "counter",
    help: "Counts that went to the labels `other` because the metric had too many series: a defect of Candor.",
    labels: { metric: "ours" },
  },
} as const satisfies Record<string, MetricDefinition>;

/** What is read from the rooms and the process when somebody asks. */
export const watchedMetrics = {
  candor_workers: {
    type: "gauge",
    help: "Worker threads of a pool: at most (size), alive (threads), at work (busy), and calls that wait (waiting).",
    labels: { pool: "ours", state: ["size", "threads", "busy", "waiting"] },
  },
  candor_worker_restarts_total: {
    type: "counter",
    help: "Threads started in place of one that failed.",
    labels: { pool: "ours" },
  },
  candor_jobs: {
    type: "gauge",
    help: "Jobs that have not ended, by kind and state.",
    labels: { kind: "ours", state: ["queued", "running", "interrupted"] },
  },
  candor_cache_entries: {
    type: "gauge",
    help: "Entries that a cache holds.",
    labels: { cache: "ours" },
  },
  candor_cache_requests_total: {
    type: "counter",
    help: "Questions to a cache, by whether it had the answer.",
    labels: { cache: "ours", outcome: ["hit", "miss"] },
  },
  candor_cache_evictions_total: {
    type: "counter",
    help: "Entries that a cache gave up to make room.",
    labels: { cache: "ours" },
  },
  candor_database_groups_total: {
    type: "counter",
    help: "Transactions of the group commit.",
    labels: {},
  },
  candor_database_works_total: {
    type: "counter",
    help: "Writes that were given to the group commit; divided by the groups: writes per sync to disk.",
    labels: {},
  },
  candor_database_waiting: {
    type: "gauge",
    help: "Writes that wait for their group.",
    labels: {},
  },
  candor_database_bytes: {
    type: "gauge",
    help: "Size of the database file and of its write-ahead log.",
    labels: { part: ["file", "wal"] },
  },
  candor_ledger_entries_total: {
    type: "counter",
    help: "Ledger entries made by this process, by severity.",
    labels: { severity: ["critical", "high", "medium", "low", "info"] },
  },
  candor_ledger_waiting: {
    type: "gauge",
    help: "Ledger entries that are not in the database, by where they wait.",
    labels: { place: ["memory", "file"] },
  },
  candor_ledger_lost_total: {
    type: "counter",
    help: "Ledger entries that nothing would take.",
    labels: {},
  },
  candor_spans_waiting: {
    type: "gauge",
    help: "Spans that wait to be sent.",
    labels: {},
  },
  candor_log_faults_total: {
    type: "counter",
    help: "Faults of logging itself.",
    labels: {},
  },
  candor_log_lines_lost_total: {
    type: "counter",
    help: "Lines that did not reach the log file.",
    labels: {},
  },
  candor_open: {
    type: "gauge",
    help: "Connections, requests in work, event streams and WebSockets that are open.",
    labels: { what: ["connection", "request", "stream", "socket"] },
  },
  candor_memory_bytes: {
    type: "gauge",
    help: "Memory of the process: resident, the JavaScript heap, and buffers outside it.",
    labels: { kind: ["resident", "heap", "external"] },
  },
  candor_event_loop_delay_seconds: {
    type: "gauge",
    help: "Delay of the event loop since the start.",
    labels: { quantile: ["0.5", "0.99", "1"] },
  },
  candor_event_loop_utilization: {
    type: "gauge",
    help: "Share of the last minute (after the start: of the time since) in which the event loop was busy, 0 to 1.",
    labels: {},
  },
  candor_window_seconds: {
    type: "gauge",
    help: "Seconds that a rolling window covers; less than its name says after the start.",
    labels: { window: ["1m", "15m", "1h"] },
  },
  candor_window_per_minute: {
    type: "gauge",
    help: "HTTP requests and operations per minute, over a rolling window.",
    labels: { of: ["requests", "operations"], window: ["1m", "15m", "1h"] },
  },
  candor_window_error_ratio: {
    type: "gauge",
    help: "Share of HTTP requests and operations that ended with a status of 500 or above, over a rolling window.",
    labels: { of: ["requests", "operations"], window: ["1m", "15m", "1h"] },
  },
  candor_window_latency_seconds: {
    type: "gauge",
    help: "Latency over a rolling window: never below the true quantile, at most 15 percent above.",
    labels: {
      of: ["requests", "operations"],
      window: ["1m", "15m", "1h"],
      quantile: ["0.5", "0.95", "0.99"],
    },
  },
  process_cpu_seconds_total: {
    type: "counter",
    help: "Processor time of the process, in user and system mode.",
    labels: {},
  },
  process_open_fds: {
    type: "gauge",
    help: "File descriptors that are open.",
    labels: {},
  },
  process_start_time_seconds: {
    type: "gauge",
    help: "When the process started, in seconds since 1970.",
    labels: {},
  },
} as const satisfies Record<string, MetricDefinition>;

/** Durations, with the labels by which they are told apart. */
export const durationMetrics = {
  candor_http_request_seconds: {
    help: "How long HTTP requests took, in seconds; event streams are left out.",
    labels: ["method", "route", "status"],
  },
  candor_operation_seconds: {
    help: "How long operations took, in seconds.",
    labels: ["operation"],
  },
} as const;

export type CountedName = keyof typeof countedMetrics;
export type CounterName = CountedName | keyof typeof eventMetrics;
export type WatchedName = keyof typeof watchedMetrics;
export type DurationName = keyof typeof durationMetrics;

/** The labels of one metric that `metrics.count` takes: nothing but the values in its table can be said. */
export type LabelsOf<Name extends CountedName> = {
  readonly [
    Label in keyof (typeof countedMetrics)[Name]["labels"]
  ]: (typeof countedMetrics)[Name]["labels"][Label] extends readonly (infer Value)[]
    ? Value
    : never;
};

/** Why a request was refused before any work. */
export type RefusalReason = LabelsOf<"candor_refusals_total">["reason"];

/** What can be open for a while. */
export type OpenThing = (typeof watchedMetrics)["candor_open"]["labels"]["what"][number];

/** Upper bounds of the duration buckets, in seconds: from a keyword search to the longest deadline. */
export const secondsBuckets: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];
