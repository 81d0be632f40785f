import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { redactText } from "#base/errors/index.ts";
import { loadConfiguration } from "./index.ts";
import { collectorFault, headerListFault, parseHeaderList, tracesAddress } from "./trace-export.ts";

it("takes the addresses of collectors and nothing else", () => {
  for (const good of ["none", "http://127.0.0.1:4318", "https://collector.example/otlp/"])
    expect(collectorFault(good)).toBe(null);
  for (const bad of [
    "127.0.0.1:4318",
    "ftp://x/",
    "http://user@c/",
    "http://a/?key=1",
    "http://a/#b",
  ])
    expect(collectorFault(bad)).toEqual(expect.any(String));
  expect(collectorFault("http://user:hunter22@c/")).not.toContain("hunter22");
});

it("puts the path below the collector's address, or takes the whole one for traces", () => {
  const none = { endpoint: "none", tracesEndpoint: "none" };
  expect(tracesAddress(none)).toBe(null);
  for (const endpoint of ["http://c:4318", "http://c:4318/", "http://c:4318//"])
    expect(tracesAddress({ ...none, endpoint })).toBe("http://c:4318/v1/traces");
  expect(tracesAddress({ endpoint: "http://c/base", tracesEndpoint: "http://t/own" })).toBe(
    "http://t/own",
  );
});

it("reads headers as exporters write them, and refuses what cannot be sent", () => {
  expect(parseHeaderList("none")).toEqual({});
  expect(parseHeaderList("Authorization=Bearer%20a%2Cb, x-team = red=1 ,")).toEqual({
    authorization: "Bearer a,b",
    "x-team": "red=1",
  });
  for (const good of ["none", "a=b", "a=b,c=%20d"]) expect(headerListFault(good)).toBe(null);
  for (const bad of [
    "a",
    "=b",
    "a=",
    "a b=c",
    "a=b,%zz",
    "a=%zz",
    "a=%0d%0ax:1",
    "a=%c3%a4",
    "a=ä",
  ])
    expect(headerListFault(bad), bad).toMatch(/entry \d/);
  expect(headerListFault("a=b,hunter22")).not.toContain("hunter22");
});

it("makes the credentials of the collector unspeakable, as they are given and as they are sent", () => {
  const home = mkdtempSync(join(tmpdir(), "candor-otlp-"));
  onTestFinished(() => rmSync(home, { recursive: true }));
  const OTEL_EXPORTER_OTLP_HEADERS = "authorization=Custom%20plainwordsecret,x-key=other%2Dsecret";
  loadConfiguration({
    flags: { "storage.home": home },
    environment: { OTEL_EXPORTER_OTLP_HEADERS },
    workingDirectory: home,
  });
  for (const shown of [OTEL_EXPORTER_OTLP_HEADERS, "got plainwordsecret", "and other-secret"])
    expect(redactText(shown)).not.toMatch(/plainword|other-secret|other%2D/);
});
