import fc from "fast-check";
import { expect, test } from "vitest";
import { readEvents, type LoopbackEvent } from "./read-events.ts";

async function* pieces(...texts: string[]): AsyncGenerator<string> {
  yield* texts;
}

async function collect(...texts: string[]): Promise<LoopbackEvent[]> {
  const found: LoopbackEvent[] = [];
  for await (const event of readEvents(pieces(...texts))) found.push(event);
  return found;
}

const text =
  ': awake\n\nid: 7\nevent: job.start\ndata: {"a":\ndata: 1}\n\nretry: 5\ndata:2\n\nevent: lost\ndata: 3\n';
const events = [
  { event: "job.start", id: "7", data: { a: 1 } },
  { event: "message", id: "7", data: 2 },
];

test("fields, comments, several data lines and the last id are read; a cut event is dropped", async () => {
  expect(await collect(text)).toEqual(events);
});

test("where the pieces are cut and how lines end does not matter", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(text.length), { maxLength: 12 }),
      fc.constantFrom("\n", "\r\n", "\r"),
      async (cuts, ending) => {
        const written = text.replaceAll("\n", ending);
        const places = [0, ...cuts.toSorted((a, b) => a - b), written.length];
        const parts = places.slice(1).map((to, index) => written.slice(places[index], to));
        expect(await collect(...parts)).toEqual(events);
      },
    ),
  );
});

test("data that is not JSON is an error that names the event", async () => {
  await expect(collect("event: odd\ndata: {\n\n")).rejects.toThrow("odd");
});

test("an endless event is refused at the limit", async () => {
  const million = `data: ${"x".repeat(1_000_000)}\n`;
  await expect(collect(...Array<string>(17).fill(million))).rejects.toThrow("longer than");
  await expect(collect(...Array<string>(17).fill("y".repeat(1_000_000)))).rejects.toThrow(
    "longer than",
  );
});
