/** Every counter with its help text and labels. */
export const metricNames = {
  candor_operations_total: {
    help: "Operations that were run, by outcome.",
    labels: ["operation", "outcome"],
  },
  candor_errors_total: { help: "Errors, by code of the catalogue.", labels: ["code"] },
  candor_embeddings_total: {
    help: "Texts that were to be embedded, by outcome.",
    labels: ["space", "outcome"],
  },
  candor_job_items_total: {
    help: "Items that jobs worked on, by outcome.",
    labels: ["kind", "outcome"],
  },
} as const;

export type MetricName = keyof typeof metricNames;

/** Upper bounds of the duration buckets, in seconds: from a keyword search to the longest deadline. */
export const secondsBuckets: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];
