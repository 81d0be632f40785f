import { expect, test } from "vitest";
import { makeHome, manyFiles, runCandor, startCandor, writeFiles } from "./run-candor.ts";

test("two commands at once share one engine; when its process is killed, the other goes on with both jobs", async () => {
  const home = await makeHome();
  await writeFiles(home, manyFiles(100));
  const first = startCandor(home, ["index", "many", "--collection", "one"]);
  await first.saw("indexing:");
  const second = startCandor(home, ["index", "many", "--collection", "two", "--json"]);
  await second.saw("indexing:");
  first.child.kill("SIGKILL");
  const { code, stdout, stderr } = await second.ended;
  expect(stderr).toContain("this one goes on with it");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ job: { state: "succeeded", done: 100, failed: 0 } });
  const { items } = JSON.parse((await runCandor(home, ["collections", "--json"])).stdout) as {
    items: { name: string; counts: { documents: number } }[];
  };
  expect(items.find(({ name }) => name === "two")?.counts.documents).toBe(100);
}, 60_000);

test("Ctrl-C cancels the job, keeps what is finished and ends with 130", async () => {
  const home = await makeHome();
  await writeFiles(home, manyFiles(200));
  const running = startCandor(home, ["index", "many", "--collection", "one", "--json"]);
  await running.saw("indexing:");
  running.child.kill("SIGINT");
  const { code, stdout, stderr } = await running.ended;
  expect(code).toBe(130);
  expect(stderr).toContain("cancelling the job");
  const { job } = JSON.parse(stdout) as { job: { id: string; state: string; done: number } };
  expect(job.state).toBe("cancelled");
  const shown = await runCandor(home, ["collections", "show", "one", "--json"]);
  expect(JSON.parse(shown.stdout)).toMatchObject({ counts: { documents: job.done } });
}, 60_000);
