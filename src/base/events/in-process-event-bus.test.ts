import fc from "fast-check";
import { expect, it } from "vitest";
import { type ChannelEvent, createEventBus } from "./index.ts";

it("gives every subscriber the events of its channel in order, numbered from one", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 50 }), (channels) => {
      const bus = createEventBus();
      const heard = new Map<string, ChannelEvent[]>();
      for (const channel of ["a", "b", "c"]) {
        heard.set(channel, []);
        bus.subscribe(channel, (event) => heard.get(channel)?.push(event));
      }
      channels.forEach((channel, data) => bus.publish(channel, "e", data));
      for (const [channel, events] of heard) {
        expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, place) => place + 1));
        expect(events.map(({ data }) => data)).toEqual(
          channels.flatMap((other, place) => (other === channel ? [place] : [])),
        );
        expect(bus.last(channel)).toEqual(events.at(-1));
      }
    }),
  );
});

it("ends a subscription at once, also while an event is being told, and starts a new one with the next event", () => {
  const bus = createEventBus();
  const heard: string[] = [];
  let stop = () => {};
  bus.subscribe("c", ({ event }) => {
    heard.push(`first ${event}`);
    if (event !== "one") return;
    bus.subscribe("c", (later) => heard.push(`late ${later.event}`));
    stop();
  });
  stop = bus.subscribe("c", ({ event }) => heard.push(`second ${event}`));
  bus.publish("c", "one", null);
  bus.publish("c", "two", null);
  expect(heard).toEqual(["first one", "second one", "first two", "late two"]);
});

it("continues a stored count and never goes back", () => {
  const bus = createEventBus();
  bus.continueAt("c", 41);
  expect(bus.publish("c", "e", null).sequence).toBe(42);
  bus.continueAt("c", 7);
  expect(bus.publish("c", "e", null).sequence).toBe(43);
  bus.forget("c");
  expect(bus.last("c")).toBeUndefined();
  expect(bus.publish("c", "e", null).sequence).toBe(1);
});
