import { setTimeout as wait } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { DestinationRefusedError, DestinationUnreachableError } from "#base/errors/index.ts";
import { createSpanSender, mostWaiting, type SendSpans, type SenderTimes } from "./send-spans.ts";
import { currentContext, withContext } from "./work-context.ts";

type Answer = Awaited<ReturnType<SendSpans>>;
const ok = (text = "{}"): Answer => ({ status: 200, headers: {}, text });

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((sender) => sender.close()));
});

/** A sender of numbers to a collector that answers as the test says. */
function start(send: SendSpans, times: Partial<SenderTimes> = {}) {
  const counts: Record<string, number> = {};
  const warnings: { dropped: Record<string, number>; reason: string }[] = [];
  const sender = createSpanSender<number>({
    send,
    serialize: (items) => Buffer.from(JSON.stringify(items)),
    count: (outcome, by) => void (counts[outcome] = (counts[outcome] ?? 0) + by),
    warn: (fields) => void warnings.push(fields as (typeof warnings)[number]),
    times: { gather: 5, pause: 1, longestPause: 5, warnEvery: 60_000, close: 300, ...times },
  });
  open.push(sender);
  const add = (count: number) => {
    for (let n = 0; n < count; n += 1) sender.add(n);
  };
  return { sender, add, counts, warnings };
}

describe("spans are sent", () => {
  it("together after a while, at once when there are many, and one message at a time", async () => {
    const sizes: number[] = [];
    let together = 0;
    const { add, counts } = start(async (body) => {
      together += 1;
      expect(together).toBe(1);
      sizes.push((JSON.parse(Buffer.from(body).toString()) as unknown[]).length);
      await wait(5);
      together -= 1;
      return ok();
    });
    add(3);
    await expect.poll(() => sizes).toEqual([3]);
    add(1030);
    await expect.poll(() => sizes).toEqual([3, 512, 512, 6]);
    await expect.poll(() => counts).toEqual({ sent: 1033 });
  });

  it("outside the course of whoever ended them", async () => {
    const seen: unknown[] = [];
    const { sender } = start(async () => {
      seen.push(currentContext());
      return ok();
    });
    withContext({ requestId: "r1" }, () => sender.add(1));
    await expect.poll(() => seen).toEqual([{}]);
  });

  it("again where the collector asks for it, and counted once", async () => {
    const statuses = [503, 429, 200];
    const { add, counts, warnings } = start(async () => ({
      status: statuses.shift() ?? 500,
      headers: { "retry-after": "0" },
      text: "",
    }));
    add(2);
    await expect.poll(() => counts).toEqual({ sent: 2 });
    expect(statuses).toEqual([]);
    expect(warnings).toEqual([]);
  });

  it("before the end of the program", async () => {
    const { sender, add, counts } = start(async () => ok(), { gather: 60_000 });
    add(700);
    await sender.close();
    expect(counts).toEqual({ sent: 700 });
  });
});

describe("what cannot be delivered is dropped and told", () => {
  const refused =
    (status: number, text = ""): SendSpans =>
    async () => ({ status, headers: {}, text });
  const raised =
    (thrown: Error): SendSpans =>
    () =>
      Promise.reject(thrown);

  it.each<[string, SendSpans, string, number]>([
    [
      "a collector that is dead",
      raised(new DestinationUnreachableError("refused")),
      "unreachable",
      3,
    ],
    ["a broken connection", raised(new TypeError("socket hang up")), "refused", 1],
    ["an address that is not allowed", raised(new DestinationRefusedError("no")), "refused", 1],
    ["502 for ever", refused(502), "unreachable", 3],
    ["400", refused(400), "refused", 1],
    ["a redirect", refused(302), "refused", 1],
    ["a page instead of an answer", refused(200, "<html>signed out</html>"), "unconfirmed", 1],
    ["a list", refused(200, "[]"), "unconfirmed", 1],
    ["null", refused(200, "null"), "unconfirmed", 1],
    [
      "less than nothing",
      refused(200, '{"partialSuccess":{"rejectedSpans":-1}}'),
      "unconfirmed",
      1,
    ],
    [
      "more than were sent",
      refused(200, '{"partialSuccess":{"rejectedSpans":"9"}}'),
      "unconfirmed",
      1,
    ],
    ["no number", refused(200, '{"partialSuccess":{"rejectedSpans":"1e3"}}'), "unconfirmed", 1],
    ["no object", refused(200, '{"partialSuccess":7}'), "unconfirmed", 1],
  ])("%s", async (_what, send, outcome, tries) => {
    let sent = 0;
    const { add, counts, warnings } = start((...words) => {
      sent += 1;
      return send(...words);
    });
    add(4);
    await expect.poll(() => counts).toEqual({ [outcome]: 4 });
    expect(sent).toBe(tries);
    expect(warnings).toEqual([{ dropped: { [outcome]: 4 }, reason: expect.stringMatching(/./) }]);
  });

  it("what the collector turned away", async () => {
    const { add, counts, warnings } = start(async () =>
      ok('{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}'),
    );
    add(5);
    await expect.poll(() => counts).toEqual({ sent: 2, rejected: 3 });
    expect(warnings).toMatchObject([{ dropped: { rejected: 3 } }]);
  });

  it("what does not fit in the queue of a slow one, without anybody waiting", async () => {
    const slow = Promise.withResolvers<Answer>();
    const { sender, add, counts, warnings } = start(() => slow.promise);
    add(512);
    add(mostWaiting + 100);
    expect(sender.waiting()).toBe(mostWaiting);
    expect(counts).toEqual({ queue_full: 100 });
    expect(warnings).toHaveLength(1);
    slow.resolve(ok());
    await expect.poll(() => counts).toEqual({ queue_full: 100, sent: mostWaiting + 512 });
  });

  it("at once, and then together once in a while", async () => {
    const { add, warnings } = start(refused(400), { warnEvery: 100, gather: 1 });
    add(1);
    await expect.poll(() => warnings).toHaveLength(1);
    for (let n = 0; n < 5; n += 1) {
      add(2);
      await wait(4);
    }
    await expect.poll(() => warnings).toHaveLength(2);
    expect(warnings.map(({ dropped }) => dropped)).toEqual([{ refused: 1 }, { refused: 10 }]);
  });

  it("what a collector that hangs leaves at the end, within the bound", async () => {
    const { sender, add, counts, warnings } = start(
      (_body, signal) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener("abort", () => reject(new Error("aborted"))),
        ),
      { close: 20, gather: 60_000 },
    );
    add(600);
    await sender.close();
    sender.add(1);
    expect(counts).toEqual({ ending: 601 });
    expect(sender.waiting()).toBe(0);
    expect(warnings.map(({ dropped }) => dropped)).toEqual([{ ending: 512 }, { ending: 88 }]);
  });
});
