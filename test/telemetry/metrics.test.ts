import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRealDoor, type RealDoor } from "../http/open-real-door.ts";
import { parseExposition } from "./parse-exposition.ts";

let door: RealDoor;
let headers: Record<string, string>;
beforeAll(async () => {
  door = await openRealDoor();
  headers = await door.as("admin");
});
afterAll(() => door.close());

async function scrape() {
  const answer = await fetch(`${door.url}/metrics`, { headers });
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  return parseExposition(await answer.text());
}

async function call(method: string, path: string, body?: unknown): Promise<number> {
  const answer = await fetch(`${door.url}${path}`, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  await answer.arrayBuffer();
  return answer.status;
}

/** A request with words that `fetch` would not send. */
function ask(method: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const { port } = door;
    const sent = request({ port, host: "127.0.0.1", method, path, headers }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode ?? 0));
    });
    sent.on("error", reject).end();
  });
}

describe("what is counted", () => {
  it("has every name that is promised, each with its help and its type", async () => {
    await call("POST", "/api/v1/collections", { name: "counted" });
    await call("POST", "/api/v1/search", { query: "water" });
    const { families, samples } = await scrape();
    for (const [name, type] of [
      ["candor_http_requests_total", "counter"],
      ["candor_http_request_seconds", "histogram"],
      ["candor_operations_total", "counter"],
      ["candor_operation_seconds", "histogram"],
      ["candor_event_loop_delay_seconds", "gauge"],
      ["candor_event_loop_utilization", "gauge"],
      ["candor_workers", "gauge"],
      ["candor_worker_restarts_total", "counter"],
      ["candor_cache_entries", "gauge"],
      ["candor_cache_requests_total", "counter"],
      ["candor_database_groups_total", "counter"],
      ["candor_database_works_total", "counter"],
      ["candor_database_waiting", "gauge"],
      ["candor_database_bytes", "gauge"],
      ["candor_ledger_entries_total", "counter"],
      ["candor_ledger_waiting", "gauge"],
      ["candor_open", "gauge"],
      ["candor_memory_bytes", "gauge"],
      ["candor_window_seconds", "gauge"],
      ["candor_window_error_ratio", "gauge"],
      ["process_cpu_seconds_total", "counter"],
      ["process_start_time_seconds", "gauge"],
    ] as const)
      expect(families.get(name), name).toBe(type);
    const of = (name: string, labels: Record<string, string> = {}) =>
      samples.find(
        (sample) =>
          sample.name === name &&
          Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
      )?.value;
    expect(of("candor_http_requests_total", { route: "/api/v1/collections", status: "201" })).toBe(
      1,
    );
    expect(of("candor_operations_total", { operation: "collections.create", outcome: "ok" })).toBe(
      1,
    );
    expect(of("candor_database_works_total")).toBeGreaterThanOrEqual(
      of("candor_database_groups_total") ?? Infinity,
    );
    expect(of("candor_database_bytes", { part: "wal" })).toBeGreaterThan(0);
    expect(
      of("candor_cache_requests_total", { cache: "statements_read", outcome: "hit" }),
    ).toBeGreaterThan(0);
    expect(of("candor_workers", { state: "threads" })).toBeGreaterThan(0);
    expect(of("candor_event_loop_utilization")).toBeGreaterThan(0);
    // The scrape itself is in work on a connection of its own or a kept one.
    expect(of("candor_open", { what: "connection" })).toBeGreaterThan(0);
    expect(of("candor_open", { what: "request" })).toBe(1);
    // Traces are not configured, so nothing is known of them.
    expect(families.has("candor_spans_waiting")).toBe(false);
  });

  it("an error once, whoever passes it on", async () => {
    const of = async (code: string) =>
      (await scrape()).samples.find(
        ({ name, labels }) => name === "candor_errors_total" && labels["code"] === code,
      )?.value ?? 0;
    const before = { missing: await of("not_found"), key: await of("credential_invalid") };
    expect(await call("GET", "/api/v1/collections/nobody-has-this")).toBe(404);
    expect(await of("not_found")).toBe(before.missing + 1);
    const wrong = { ...headers, authorization: "Bearer candor_wrong" };
    expect((await fetch(`${door.url}/api/v1/collections`, { headers: wrong })).status).toBe(401);
    expect(await of("credential_invalid")).toBe(before.key + 1);
  });

  it("failed sign-ins by their reason, without a name", async () => {
    const login = { name: "nobody-of-that-name", password: "wrong-password-1" };
    expect(await call("POST", "/api/v1/auth/login", login)).toBe(401);
    const { samples } = await scrape();
    expect(samples).toContainEqual({
      name: "candor_operations_total",
      labels: { operation: "auth.login", outcome: "login_failed" },
      value: 1,
    });
    expect(JSON.stringify(samples)).not.toContain("nobody-of-that-name");
  });

  it("an event stream without a latency, open as long as it is", async () => {
    const created = await fetch(`${door.url}/api/v1/collections/counted/documents/batch`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify({ documents: [{ key: "a", content: "water" }] }),
    });
    const { job } = (await created.json()) as { job: { id: string } };
    const stream = await fetch(`${door.url}/api/v1/jobs/${job.id}/events`, { headers });
    await stream.text();
    const route = "/api/v1/jobs/:job/events";
    await expect
      .poll(async () => (await scrape()).samples.filter(({ labels }) => labels["route"] === route))
      .toEqual([expect.objectContaining({ name: "candor_http_requests_total", value: 1 })]);
    const opened = (await scrape()).samples.find(({ labels }) => labels["what"] === "stream");
    expect(opened?.value).toBe(0);
    const { samples } = await scrape();
    expect(samples).toContainEqual({
      name: "candor_jobs_ended_total",
      labels: { kind: "documents.addBatch", state: "succeeded" },
      value: 1,
    });
  });

  it("in a bounded number of series, whatever callers send, and with none of their words", async () => {
    const series = async () =>
      (await scrape()).samples.map(({ name, labels }) => JSON.stringify([name, labels]));
    const methods = ["GET", "POST", "PUT", "DELETE", "PROPFIND", "M-SEARCH", "PURGE", "LINK"];
    const flood = async (round: number) => {
      for (let n = 0; n < 200; n += 1) {
        const word = `flood${round}x${n}`;
        const method = methods[n % methods.length] ?? "GET";
        const path = [
          `/${word}`,
          `/api/v1/${word}`,
          `/api/v1/collections/${word}`,
          `/api/v1/jobs/${word}?q=${word}`,
        ][n % 4];
        await ask(method, path ?? "/");
      }
      await call("POST", "/api/v1/collections", { name: `flood ${round}`, [`flood${round}`]: 1 });
    };
    await flood(1);
    const first = await series();
    await flood(2);
    const second = await series();
    expect(new Set(second).size).toBe(second.length);
    expect(second.filter((one) => !first.includes(one))).toEqual([]);
    expect(second.join("")).not.toMatch(/flood/);
    expect(second.length).toBeLessThan(3000);
  });
});

describe("system.metrics", () => {
  it("stays as the contract says", async () => {
    const answer = await fetch(`${door.url}/api/v1/system/metrics`, { headers });
    const body = (await answer.json()) as Record<string, unknown>;
    expect(Object.keys(body).toSorted()).toEqual([
      "counters",
      "eventLoopDelayMs",
      "jobs",
      "memory",
      "requestId",
      "since",
      "tookMs",
      "windowSeconds",
    ]);
    expect(body["counters"]).toContainEqual({
      name: "candor_operations_total",
      labels: { operation: "collections.create", outcome: "ok" },
      value: 1,
    });
  });

  it("gives the last minute to the dashboard, from what happened", () => {
    const { requests, operations } = door.app.metrics.window();
    expect(requests["1m"].count).toBeGreaterThan(400);
    expect(requests["1m"]).toMatchObject({ errors: 0, errorRatio: 0 });
    expect(operations["1h"].latencyMs.p99).toBeGreaterThanOrEqual(
      operations["1h"].latencyMs.p50 ?? Infinity,
    );
  });
});
