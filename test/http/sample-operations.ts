import { z } from "zod";
import { localPrincipal } from "#base/access/index.ts";
import { EmbeddingInferenceError, NotFoundError, OverloadedError } from "#base/errors/index.ts";
import { defineOperation, type Operation, type StreamEvent } from "#operations/define-operation.ts";

const echoInput = z.strictObject({
  name: z.string(),
  count: z.int().min(1).max(10).default(1),
  flag: z.boolean().optional(),
  tags: z.array(z.string()).optional(),
  filter: z.strictObject({ field: z.string() }).optional(),
});

const sampleGet = defineOperation({
  name: "samples.get",
  summary: "Answers what it was asked",
  input: echoInput,
  output: z.object({ got: z.unknown(), principal: z.string() }),
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "GET", path: "/samples/:name" },
  cli: null,
  run: async ({ input, principal, ...call }) => {
    if (input.name === "missing") throw new NotFoundError('There is no sample "missing".');
    if (input.name === "busy")
      throw new OverloadedError("Too much is waiting.", { retryAfterMs: 1500 });
    if (input.name === "broken") throw new TypeError("a secret path /etc/passwd");
    if (input.name === "noted") call.notice({ code: "keyword_only", message: "Only keywords." });
    return { got: input, principal: principal?.id ?? "" };
  },
});

const sampleCreate = defineOperation({
  name: "samples.create",
  summary: "Makes a sample",
  input: z.strictObject({ name: z.string().min(1), note: z.string().optional() }),
  output: z.object({ name: z.string(), made: z.int() }),
  effect: "write",
  permission: { role: "api_user" },
  http: { method: "POST", path: "/samples", answer: "created" },
  cli: null,
  run: async ({ input }) => ({ name: input.name, made: (made += 1) }),
});
let made = 0;

const sampleRename = defineOperation({
  name: "samples.rename",
  summary: "Gives a sample another note",
  input: z.strictObject({ name: z.string(), note: z.string() }),
  output: z.object({ name: z.string(), note: z.string() }),
  effect: "write",
  permission: { role: "admin" },
  http: { method: "PATCH", path: "/samples/:name" },
  cli: null,
  run: async ({ input }) => input,
});

const sampleDelete = defineOperation({
  name: "samples.delete",
  summary: "Removes a sample",
  input: z.strictObject({ name: z.string(), dryRun: z.boolean().default(false) }),
  output: z.object({ name: z.string(), dryRun: z.boolean() }),
  effect: "destroy",
  permission: { role: "api_user" },
  http: { method: "DELETE", path: "/samples/:name" },
  cli: null,
  run: async ({ input }) => input,
});

const sampleUpload = defineOperation({
  name: "samples.upload",
  summary: "Takes a file or a text",
  input: z.strictObject({
    content: z.string().optional(),
    metadata: z.record(z.string(), z.unknown()).optional(),
    file: z
      .strictObject({
        bytes: z.instanceof(Uint8Array),
        name: z.string(),
        mediaType: z.string().nullable(),
      })
      .optional(),
  }),
  output: z.object({
    bytes: z.int(),
    name: z.string().nullable(),
    mediaType: z.string().nullable(),
    metadata: z.unknown(),
  }),
  effect: "write",
  permission: { role: "api_user" },
  http: { method: "POST", path: "/samples/upload", body: "multipart" },
  cli: null,
  run: async ({ input }) => ({
    bytes: input.file?.bytes.length ?? input.content?.length ?? 0,
    name: input.file?.name ?? null,
    mediaType: input.file?.mediaType ?? null,
    metadata: input.metadata ?? null,
  }),
});

const jobShape = z.looseObject({ id: z.string() });

const sampleJob = defineOperation({
  name: "samples.work",
  summary: "Starts a job",
  input: z.strictObject({ items: z.array(z.string()).min(1) }),
  output: z.object({ job: jobShape }),
  effect: "write",
  permission: { role: "api_user" },
  http: { method: "POST", path: "/samples/work", answer: "job" },
  cli: null,
  run: async ({ input, app, principal }) => {
    const job = await app.database.write((handle) =>
      app.jobs.enqueue(handle, "samples.work", {
        owner: principal?.id ?? localPrincipal.id,
        target: { type: "sample", id: "samples" },
        input,
      }),
    );
    app.jobs.dispatch();
    return { job };
  },
});

async function* count(signal: AbortSignal, { from = 1, to = 3, after = "end" }) {
  for (let sequence = from; sequence <= to; sequence += 1)
    yield { event: "count.step", sequence, data: { at: sequence } } satisfies StreamEvent<{
      at: number;
    }>;
  if (after === "fail") throw new EmbeddingInferenceError("The model gave no vector.");
  if (after === "wait" && !signal.aborted)
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve());
    });
  ended.count += 1;
}
/** How many streams came to their end, on their own or because they were told to stop. */
export const ended = { count: 0 };

const sampleStream = defineOperation({
  name: "samples.count",
  summary: "Counts in events",
  input: z.strictObject({
    since: z.int().min(0).default(0),
    to: z.int().max(1_000_000).default(3),
    after: z.enum(["end", "fail", "wait", "refuse"]).default("end"),
  }),
  output: z.object({ at: z.int() }),
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "GET", path: "/counting", answer: "stream" },
  cli: null,
  run: ({ input, signal }) => {
    if (input.after === "refuse") throw new NotFoundError("There is nothing to count.");
    return count(signal, { from: input.since + 1, to: input.to, after: input.after });
  },
});

const sampleSlow = defineOperation({
  name: "samples.slow",
  summary: "Answers when it is told to stop, or never",
  input: z.strictObject({}),
  output: z.object({ stopped: z.boolean() }),
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "POST", path: "/samples/slow" },
  cli: null,
  run: ({ signal }) =>
    new Promise((resolve) => {
      slow.running += 1;
      signal.addEventListener("abort", () => {
        slow.stopped += 1;
        if (slow.answers) resolve({ stopped: true });
      });
    }),
});
export const slow = { running: 0, stopped: 0, answers: true };

const health = defineOperation({
  name: "system.health",
  summary: "Whether the server is up",
  input: z.strictObject({}),
  output: z.object({ status: z.enum(["ok", "failed"]) }),
  effect: "read",
  permission: "public",
  http: { method: "GET", path: "/health", root: true },
  cli: null,
  run: async () => ({ status: condition.status }),
});
export const condition: { status: "ok" | "failed" } = { status: "ok" };

const metrics = defineOperation({
  name: "system.metrics",
  summary: "Counters",
  input: z.strictObject({}),
  output: z.looseObject({}),
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "GET", path: "/system/metrics" },
  cli: null,
  run: async ({ app }) => app.metrics.snapshot(),
});

const signIn = defineOperation({
  name: "signin.create",
  summary: "Spends a one-time token",
  input: z.strictObject({ token: z.string().min(1).max(200) }),
  output: z.object({ principal: z.looseObject({ id: z.string() }), expiresAt: z.string() }),
  effect: "write",
  permission: "public",
  http: { method: "POST", path: "/auth/signin" },
  cli: null,
  run: async ({ input, app, ...call }) => {
    const { principal, secret, expiresAt } = await app.access.signIn.redeem(input.token);
    call.openSession(secret, expiresAt);
    return { principal, expiresAt: new Date(expiresAt).toISOString() };
  },
});

const commandOnly = defineOperation({
  name: "samples.local",
  summary: "Has no place on HTTP",
  input: z.strictObject({}),
  output: z.object({}),
  effect: "read",
  permission: { role: "read_only" },
  http: null,
  cli: { command: "samples local" },
  run: async () => ({}),
});

/** One operation for each way in which the door treats operations differently. */
export const sampleOperations = [
  sampleGet,
  sampleCreate,
  sampleRename,
  sampleDelete,
  sampleUpload,
  sampleJob,
  sampleStream,
  sampleSlow,
  health,
  metrics,
  signIn,
  commandOnly,
] as unknown as readonly Operation[];
