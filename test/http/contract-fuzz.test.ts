import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { NotFoundError } from "#base/errors/index.ts";
import { defineOperation, type Operation, operations } from "#operations/index.ts";
import { createAnswerCheck } from "./check-answer.ts";
import {
  operationsOf,
  type PlannedRequest,
  requestsOfDocument,
  toBytes,
} from "./generate-requests.ts";
import { type Credentials, type FuzzedDoor, openFuzzedDoor } from "./open-fuzzed-door.ts";
import { sendRawRequest } from "./send-raw-request.ts";

/** More by hand: FUZZ_REQUESTS=50000 FUZZ_SEED=7 npx vitest run test/http/contract-fuzz.test.ts */
const wanted = Number(process.env["FUZZ_REQUESTS"] ?? 5000);
const wantedSeed = Number(process.env["FUZZ_SEED"] ?? 20_261_121);

/** Requests on their way at the same time. */
const atOnce = 12;

/** After so many requests, everything that they may have taken away is put back. */
const batch = 250;

/** Found faults after which no more are looked for. */
const enough = 100;

type Outcome = {
  readonly faults: readonly string[];
  /** Answers by hundred of their status. */
  readonly statuses: ReadonlyMap<string, number>;
  /** Operations that were asked as the document says and answered with success. */
  readonly succeeded: ReadonlySet<string>;
};

/** Sends `requests` of this seed and compares every answer with the document. */
async function fuzz(door: FuzzedDoor, requests: number, seed: number): Promise<Outcome> {
  const check = createAnswerCheck(door.document, [
    door.home,
    join(import.meta.dirname, "..", ".."),
  ]);
  const faults: string[] = [];
  const statuses = new Map<string, number>();
  const succeeded = new Set<string>();

  const send = async (plan: PlannedRequest, number: number, callers: readonly Credentials[]) => {
    const draft = plan.draft(door.known);
    const bytes = toBytes(draft, door.host, callers[plan.principal % callers.length] ?? []);
    const isValid = plan.broken.length === 0;
    const say = (fault: string) =>
      void faults.push(
        `request ${number} (${plan.broken.join(", ") || "valid"}) ${fault}\n${bytes.toString("latin1").slice(0, 800)}`,
      );
    const answer = await sendRawRequest(door.port, bytes);
    const kind = answer === null ? "none" : `${Math.floor(answer.status / 100)}xx`;
    statuses.set(kind, (statuses.get(kind) ?? 0) + 1);
    if (answer === null) {
      if (isValid) say("got no answer");
      return;
    }
    for (const fault of check(plan.operation, draft.method, draft.path, answer)) say(fault);
    if (answer.status >= 500) say(await told(door, answer.body));
    if (!isValid || answer.status >= 300) return;
    succeeded.add(plan.operation.operationId);
    if (answer.headers.get("content-type")?.startsWith("application/json"))
      door.known.learn(JSON.parse(answer.body), plan.operation.tags[0] ?? "");
  };

  const planned = fc
    .sample(requestsOfDocument(door.document), { seed, numRuns: requests })
    .entries();
  for (let from = 0; from < requests && faults.length < enough; from += batch) {
    const callers = await door.renew();
    let left = batch;
    const work = async () => {
      while (left > 0) {
        left -= 1;
        const { value, done } = planned.next();
        if (done) return;
        await send(value[1], value[0], callers);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
  }
  return { faults, statuses, succeeded };
}

/** What the ledger holds of the failure that a problem names. */
async function told(door: FuzzedDoor, problem: string): Promise<string> {
  const [id] = /led_[0-9A-Z]{26}/.exec(problem) ?? [];
  const { body } = await door.ask("GET", `/api/v1/ledger/${id}`);
  return `is in the ledger as ${body.slice(0, 2000)}`;
}

test(
  `${wanted} requests made from the document, as it says and broken, are answered as it says`,
  { timeout: 120_000 + wanted * 30 },
  async () => {
    await using door = await openFuzzedDoor();
    const { faults, statuses, succeeded } = await fuzz(door, wanted, wantedSeed);
    const never = operationsOf(door.document)
      .map(({ operationId }) => operationId)
      .filter((name) => !succeeded.has(name));
    const summary = `seed ${wantedSeed}: ${[...statuses].map(([kind, number]) => `${number} ${kind}`).join(", ")}; never with success: ${never.join(", ") || "none"}`;
    console.log(summary);
    expect(faults, summary).toEqual([]);
    // A fuzzer whose requests are all refused at the gate looks at nothing.
    expect(never.length, summary).toBeLessThan(operationsOf(door.document).length / 4);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    await door.renew();
    const { body } = await door.ask("GET", "/api/v1/ledger?code=defect&limit=50");
    expect(JSON.parse(body)).toMatchObject({ items: [] });
    expect((await door.ask("GET", "/health")).status).toBe(200);
  },
);

/** What the fuzzer itself needs of the table. */
const needed = [
  "operations.list",
  "collections.create",
  "documents.add",
  "users.create",
  "auth.login",
];

/** An operation with a fault. */
function plant(noun: string, run: Operation["run"], count: z.ZodType = z.int()): Operation {
  return defineOperation({
    name: `${noun}.count`,
    summary: "Count the notes of a page",
    input: z.strictObject({ page: z.int().min(1).max(9).default(1) }),
    output: z.object({ count }),
    effect: "read",
    permission: { role: "read_only" },
    http: { method: "GET", path: `/${noun}` },
    cli: null,
    run: run as never,
  }) as unknown as Operation;
}

const refuse = (words: () => string) => async () => {
  throw new NotFoundError(words());
};

const faulty: readonly (readonly [string, Operation, RegExp])[] = [
  [
    "a handler that fails on some inputs",
    plant("leaves", async ({ input }) => {
      const { page } = input as { page: number };
      return { count: page > 1 ? (undefined as unknown as string).length : 0 };
    }),
    /is a 500 with defect/,
  ],
  [
    "an answer that nobody compared with its schema",
    plant("lines", async () => ({ count: "three" }), z.any().meta({ type: "integer" })),
    /does not match its schema: .*must be integer/,
  ],
  [
    "a stack",
    plant(
      "stacks",
      refuse(() => String(new Error("x").stack)),
    ),
    /holds \n?\s*at /,
  ],
  [
    "a place",
    plant(
      "places",
      refuse(() => import.meta.dirname),
    ),
    /names the place/,
  ],
  [
    "a statement of the database",
    plant(
      "rows",
      refuse(() => "SELECT id FROM pages failed"),
    ),
    /holds SELECT id FROM/,
  ],
];

test("the fuzzer sees every planted fault, and no other", async () => {
  const table = operations.filter(({ name }) => needed.includes(name));
  await using door = await openFuzzedDoor([...table, ...faulty.map(([, operation]) => operation)]);
  const { faults } = await fuzz(door, 250, 1);
  for (const [what, operation, fault] of faulty) {
    const found = faults.filter((one) => one.includes(`/api/v1${operation.http?.path}`));
    expect(found.join("\n"), what).toMatch(fault);
  }
  const paths = faulty.map(([, { http }]) => `/api/v1${http?.path}`);
  expect(faults.filter((one) => !paths.some((path) => one.includes(path)))).toEqual([]);
});
