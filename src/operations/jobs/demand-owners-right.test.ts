import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { localPrincipal, type Principal } from "#base/access/index.ts";
import {
  modelFolders,
  openTestApp,
  type TestApp,
} from "../../../test/fixtures/rooms/open-test-app.ts";
import { operations, runOperation } from "#operations/index.ts";

type Json = Record<string, unknown>;

const password = "correct horse, battery";
let room: TestApp;
beforeAll(async () => {
  room = await openTestApp({ "models.static": [modelFolders.tiny] });
});
afterAll(() => room.close());

async function run(name: string, input: Json, by: Principal = localPrincipal): Promise<Json> {
  const operation = operations.find((known) => known.name === name);
  if (!operation) throw new TypeError(`no operation ${name}`);
  return (await runOperation(room.app, operation, input, { principal: by })).output as Json;
}

async function makeUser(name: string, role: string): Promise<Principal> {
  await run("users.create", { name, role, password });
  const { accessToken } = await run("auth.login", { name, password });
  const principal = await room.app.access.authenticate({ bearer: String(accessToken) });
  if (!principal) throw new TypeError(`${name} cannot sign in`);
  return principal;
}

let made = 0;

/** A job of somebody who was given `write`, stopped before all of its documents were added. */
async function makeStopped() {
  const name = `shared-${(made += 1)}`;
  const writer = await makeUser(`writer-${made}`, "api_user");
  await run("collections.create", { name });
  await run("grants.set", { collection: name, principal: writer.id, right: "write" });
  const documents = [{ key: "one", content: " " }, { content: "Words." }];
  const { job } = (await run("documents.addBatch", { collection: name, documents }, writer)) as {
    job: { id: string };
  };
  expect(await room.ended(job)).toMatchObject({ state: "partial" });
  return { name, writer, job: job.id };
}

const ways: Readonly<Record<string, (name: string, writer: Principal) => Promise<unknown>>> = {
  "who has no right to write any more": (name, writer) =>
    run("grants.remove", { collection: name, principal: writer.id }),
  "who may only read": (name, writer) =>
    run("grants.set", { collection: name, principal: writer.id, right: "read" }),
  "whose role became too low": (_name, writer) =>
    run("users.update", { user: writer.id, role: "read_only" }),
  "who was disabled": (_name, writer) => run("users.update", { user: writer.id, disabled: true }),
  "who was deleted": (_name, writer) => run("users.delete", { user: writer.id }),
};

describe.each(["jobs.resume", "jobs.retryFailed"])("%s", (operation) => {
  it.each(Object.keys(ways))("does nothing for somebody %s, whoever asks", async (way) => {
    const { name, writer, job } = await makeStopped();
    await ways[way]?.(name, writer);
    const refusal = { code: "permission_denied", status: 403 };
    await expect(run(operation, { job })).rejects.toMatchObject(refusal);
    await expect(run(operation, { job }, writer)).rejects.toMatchObject(refusal);
    expect(await run("jobs.get", { job })).toMatchObject({ state: "partial", attempt: 1 });
  });

  it("goes on for somebody who still may", async () => {
    const { writer, job } = await makeStopped();
    const again = (await run(operation, { job }, writer)) as { job: { attempt: number } };
    expect(again.job.attempt).toBe(2);
    await room.ended({ id: job });
  });
});
