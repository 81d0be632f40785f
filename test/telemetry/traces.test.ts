import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { writeFiles } from "../cli/run-candor.ts";
import {
  closeWorkplaces,
  openWorkplace,
  type Server,
  sync,
  type Workplace,
} from "../faults/start-server.ts";
import {
  type Answer,
  attributesOf,
  type Collector,
  openCollector,
  type OtlpSpan,
} from "./collector.ts";

const open: Collector[] = [];
afterEach(async () => {
  await closeWorkplaces();
  await Promise.all(open.splice(0).map((collector) => collector.close()));
});

const model = { CANDOR_MODELS_STATIC: join(import.meta.dirname, "../fixtures/static-16") };

async function serve(
  environment: (url: string) => Record<string, string>,
  answer?: () => Answer,
): Promise<{ collector: Collector; workplace: Workplace; server: Server }> {
  const collector = await openCollector(answer);
  open.push(collector);
  const workplace = await openWorkplace();
  const server = await workplace.serve({ ...model, ...environment(collector.url) });
  return { collector, workplace, server };
}

const linesOf = (server: Server) =>
  server
    .written()
    .stderr.split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const named = (spans: OtlpSpan[], name: string) => spans.filter((span) => span.name === name);

describe("with a collector", () => {
  it("requests, operations, writes, threads and jobs are spans of the caller's trace, and log lines name it", async () => {
    const { collector, workplace, server } = await serve((url) => ({
      OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/`,
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20collector-secret-1,x-team=red",
      OTEL_SERVICE_NAME: "candor-test",
    }));
    const traceId = "4".repeat(32);
    const headers = { traceparent: `00-${traceId}-8ccccccccccccccc-01` };
    await server.ask("POST", "/collections", { name: "private-name" }, { headers });
    await server.ask("POST", "/search?secret=in-the-address", { query: "private-words" });
    await server.ask("GET", "/collections/private-thing");
    const folder = join(workplace.folder, "texts");
    await writeFiles(folder, { "private-file.md": "water and wine" });
    const job = await sync(server, "private-name", folder);
    await server.stop();

    const [first] = collector.requests;
    expect(first).toMatchObject({
      method: "POST",
      path: "/v1/traces",
      headers: {
        "content-type": "application/json",
        authorization: "Bearer collector-secret-1",
        "x-team": "red",
      },
    });
    expect(collector.resources()[0]).toMatchObject({
      "service.name": "candor-test",
      "service.version": expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
    const spans = collector.spans();
    for (const span of spans) {
      expect(span.traceId).toMatch(/^[0-9a-f]{32}$/);
      expect(span.spanId).toMatch(/^[0-9a-f]{16}$/);
      expect(Number(span.endTimeUnixNano)).toBeGreaterThanOrEqual(Number(span.startTimeUnixNano));
    }
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);

    const [request] = named(spans, "POST /api/v1/collections");
    expect(request).toMatchObject({ traceId, parentSpanId: "8ccccccccccccccc", kind: 2 });
    expect(attributesOf(request as OtlpSpan)).toEqual({
      "http.request.method": "POST",
      "http.route": "/api/v1/collections",
      "http.response.status_code": 201,
    });
    const inTrace = spans.filter((span) => span.traceId === traceId);
    const [operation] = named(inTrace, "operation collections.create");
    expect(operation).toMatchObject({ parentSpanId: request?.spanId, kind: 1 });
    const under = (span: OtlpSpan | undefined) =>
      inTrace.filter(({ parentSpanId }) => parentSpanId === span?.spanId).map(({ name }) => name);
    expect(under(operation)).toContain("database write");

    const missed = spans.find(({ name }) => name === "operation collections.get");
    expect(attributesOf(missed as OtlpSpan)).toMatchObject({ "error.type": "not_found" });
    const [ran] = named(spans, "job collections.sync");
    expect(attributesOf(ran as OtlpSpan)).toMatchObject({
      "candor.job.kind": "collections.sync",
      "candor.job.state": "succeeded",
      "candor.job.done": 1,
    });
    // A job outlives the request that started it: a trace of its own, linked to that one.
    const [starter] = named(spans, "POST /api/v1/collections/:collection/sync");
    expect(ran?.traceId).not.toBe(starter?.traceId);
    expect(ran?.links).toMatchObject([{ traceId: starter?.traceId }]);
    expect(
      spans.some(({ name, traceId: of }) => name.startsWith("worker ") && of === ran?.traceId),
    ).toBe(true);

    const all = collector.requests.map(({ text }) => text).join("");
    for (const told of ["private-", "in-the-address", "collector-secret", job.id, "secret="])
      expect(all).not.toContain(told);
    const lines = linesOf(server).filter((line) => line["trace_id"] === traceId);
    expect(lines).toContainEqual(
      expect.objectContaining({
        message: "request",
        span_id: request?.spanId,
        route: "/api/v1/collections",
      }),
    );
    const written = server.written();
    expect(written.stderr + written.stdout).not.toContain("collector-secret");
  });

  it("as many traces are made as the setting says, and a caller's own choice counts", async () => {
    const { collector, server } = await serve((url) => ({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${url}/mine`,
      CANDOR_TELEMETRY_SAMPLE_PERCENT: "0",
    }));
    const parent = (digit: string, flags: string) => ({
      headers: { traceparent: `00-${digit.repeat(32)}-${digit.repeat(16)}-${flags}` },
    });
    await server.ask("GET", "/collections");
    await server.ask("GET", "/collections", undefined, parent("a", "00"));
    await server.ask("GET", "/collections", undefined, parent("b", "01"));
    await server.stop();
    expect(new Set(collector.spans().map(({ traceId }) => traceId))).toEqual(
      new Set(["b".repeat(32)]),
    );
    expect(collector.requests[0]?.path).toBe("/mine");
  });
});

describe("a collector that is no good harms nobody, and what is lost is said", () => {
  it.each<[string, Answer | "dead", string]>([
    ["dead", "dead", "unreachable"],
    ["hanging", "hang", "ending"],
    ["redirecting", { status: 307, text: "" }, "refused"],
    ["lying", { status: 200, text: "<html>welcome</html>" }, "unconfirmed"],
  ])("%s", async (_what, answer, outcome) => {
    const { collector, server } = await serve(
      (url) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url }),
      () => (answer === "dead" ? "cut" : answer),
    );
    if (answer === "dead") await collector.close();
    for (let n = 0; n < 5; n += 1)
      expect((await server.ask("GET", "/collections")).status).toBe(200);
    const { code } = await server.stop();
    expect(code).toBe(0);
    const warnings = linesOf(server).filter(({ message }) =>
      /spans were dropped/.test(String(message)),
    );
    expect(warnings.length).toBeGreaterThan(0);
    expect(Object.keys(warnings[0]?.["dropped"] as object)).toContain(outcome);
    expect(warnings[0]).not.toHaveProperty("requestId");
  });
});

it("without a collector nothing of OpenTelemetry is loaded, and a caller's trace is still named in the log", async () => {
  const room = new URL("../../src/base/telemetry/index.ts", import.meta.url).href;
  const script = `import { registerHooks } from "node:module";
    const seen = [];
    registerHooks({ resolve: (name, context, next) => { if (name.includes("opentelemetry")) seen.push(name); return next(name, context); } });
    const { openTraces } = await import(${JSON.stringify(room)});
    await openTraces(null);
    const before = seen.length;
    await openTraces({ serviceName: "x", version: "1", samplePercent: 1, send: async () => {}, metrics: {}, logger: {} });
    console.log(before, seen.length > 0);`;
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--input-type=module",
    "-e",
    script,
  ]);
  expect(stdout.trim()).toBe("0 true");

  const workplace = await openWorkplace();
  const server = await workplace.serve(model);
  const traceId = "c".repeat(32);
  const headers = { traceparent: `00-${traceId}-${"d".repeat(16)}-01` };
  await server.ask("GET", "/collections", undefined, { headers });
  await server.stop();
  const log = readFileSync(join(workplace.home, "logs", "candor.log"), "utf8");
  expect(log).toContain(`"trace_id":"${traceId}"`);
  expect(log).not.toContain("span_id");
});
