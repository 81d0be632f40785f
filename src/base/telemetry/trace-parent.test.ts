import { expect, it } from "vitest";
import { parseTraceParent } from "./trace-parent.ts";

const traceId = `4${"b".repeat(31)}`;
const spanId = `8${"c".repeat(15)}`;

it("reads what the recommendation shows", () => {
  expect(parseTraceParent(`00-${traceId}-${spanId}-01`)).toEqual({
    traceId,
    spanId,
    sampled: true,
  });
  expect(parseTraceParent(`00-${traceId}-${spanId}-00`)).toMatchObject({ sampled: false });
  // A later version may say more; only the bit that is known is read.
  expect(parseTraceParent(`cc-${traceId}-${spanId}-03-what-else`)).toMatchObject({ sampled: true });
});

it.each([
  undefined,
  "",
  `ff-${traceId}-${spanId}-01`,
  `00-${traceId}-${spanId}-01-more`,
  `00-${"0".repeat(32)}-${spanId}-01`,
  `00-${traceId}-${"0".repeat(16)}-01`,
  `00-${traceId.toUpperCase()}-${spanId}-01`,
  `00-${traceId}-${spanId}-1`,
  `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`,
  `00-${traceId}-${spanId}-01\n`,
  ` 00-${traceId}-${spanId}-01`,
])("begins anew after %j", (header) => {
  expect(parseTraceParent(header)).toBe(null);
});
