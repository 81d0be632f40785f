/** A correct input of an operation, and wrong ones with the reason; the answers are made by the operation's own schema. */
export type HttpExample = {
  readonly right: Readonly<Record<string, unknown>>;
  readonly wrong: readonly {
    readonly input: Readonly<Record<string, unknown>>;
    readonly why: string;
  }[];
};

/** Examples by operation, for the inputs that people write by hand. */
export const httpExamples: Readonly<Record<string, HttpExample>> = {
  "collections.create": {
    right: { name: "handbook", description: "How we work" },
    wrong: [
      { input: { name: "Hand Book" }, why: "Names are lower case, without blanks." },
      { input: { name: "photos", kind: "image" }, why: "Only documents are indexed." },
      {
        input: { name: "handbook", chunking: { maxTokens: 8, overlapTokens: 0 } },
        why: "A chunk has at least 16 tokens.",
      },
    ],
  },
  "collections.sync": {
    right: { collection: "handbook", path: "/srv/handbook", exclude: ["drafts/**"] },
    wrong: [
      {
        input: { collection: "handbook", path: "/srv/handbook", exclude: "drafts/**" },
        why: "Globs are a list, also a single one.",
      },
    ],
  },
  "documents.add": {
    right: {
      collection: "handbook",
      key: "notes/2026-01.md",
      content: "# January\n\nThe backup server moved.",
      mediaType: "text/markdown",
      metadata: { team: "operations" },
    },
    wrong: [
      { input: { collection: "handbook", text: "The backup…" }, why: "The field is `content`." },
      {
        input: { collection: "handbook", content: "The backup…", metadata: '{"team":"x"}' },
        why: "Metadata is an object, not JSON inside a text (except in a form).",
      },
    ],
  },
  "documents.addBatch": {
    right: {
      collection: "handbook",
      documents: [
        { key: "a.txt", content: "First." },
        { key: "b.txt", content: "Second." },
      ],
    },
    wrong: [
      { input: { collection: "handbook", documents: [] }, why: "A batch holds at least one." },
      {
        input: { collection: "handbook", documents: ["First."] },
        why: "Each document is an object.",
      },
    ],
  },
  "search.query": {
    right: {
      query: "how do I restore a backup",
      collections: ["handbook"],
      filter: { and: [{ field: "format", op: "eq", value: "markdown" }] },
      limit: 5,
    },
    wrong: [
      { input: { query: "" }, why: "There is nothing to look for." },
      { input: { query: "backup", limit: 1000 }, why: "Use `cursor` for the next page." },
      { input: { query: "backup", mode: "fuzzy" }, why: "The choice is closed." },
      { input: { query: "backup", topK: 5 }, why: "An unknown field is refused, never ignored." },
      {
        input: { query: "backup", filter: { format: "markdown" } },
        why: "A condition is `{ field, op, value }`.",
      },
    ],
  },
  "search.explain": {
    right: { query: "how do I restore a backup", chunk: "chk_01M7Z3RW37W8S11RTNWYK6F0PZ" },
    wrong: [{ input: { query: "backup" }, why: "It explains one hit: name its `chunk`." }],
  },
  "embeddings.embed": {
    right: { inputs: ["The backup server moved."], kind: "passage" },
    wrong: [
      {
        input: { inputs: ["The backup server moved."] },
        why: "Queries and passages may have different prefixes, so `kind` has no default.",
      },
      { input: { inputs: "one text", kind: "query" }, why: "Inputs are a list." },
    ],
  },
  "keys.create": {
    right: { name: "intranet", role: "api_user", expiresAt: "2027-12-31T00:00:00Z" },
    wrong: [
      { input: { name: "intranet", role: "root" }, why: "There are five roles." },
      {
        input: { name: "intranet", expiresAt: "2027-12-31" },
        why: "A time has a time of day and a zone.",
      },
    ],
  },
  "settings.set": {
    right: { values: { "logging.level": "debug" } },
    wrong: [{ input: { "logging.level": "debug" }, why: "The values are inside `values`." }],
  },
  "ledger.resolve": {
    right: { entry: "led_01M7Z3RW37W8S11RTNWYK6F0PZ", notes: "Disk replaced.", scope: "group" },
    wrong: [
      {
        input: { entry: "led_01M7Z3RW37W8S11RTNWYK6F0PZ" },
        why: "Who comes later wants to know what was done.",
      },
    ],
  },
};
