import { z } from "zod";
import type { Call } from "./define-operation.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";

/** Input fields of every list. */
export const pageInput = {
  limit: z.int().min(1).max(100).default(50).describe("How many at most"),
  cursor: z.string().max(2000).optional().describe("nextCursor of the page before"),
};

/** The answer of every list; `total` only where counting is cheap. */
export function pageOutput<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    nextCursor: z.string().nullable(),
    total: z.int().nullable(),
  });
}

type PageInput = { limit: number; cursor?: string | undefined };

/** Reads one page: `read` gets the position after which to go on and one more than the limit, which shows if there is a next page. */
export async function readPage<Item>(
  name: string,
  { app, input }: Call<PageInput>,
  positionOf: (item: Item) => string,
  read: (after: string | undefined, limit: number) => Promise<Item[]>,
): Promise<{ items: Item[]; nextCursor: string | null; total: null }> {
  const secretKey = app.configuration.config.security.secretKey;
  const { cursor, ...query } = input;
  const bound = { name, ...query };
  const after =
    cursor === undefined ? undefined : z.string().parse(decodeCursor(secretKey, bound, cursor));
  const found = await read(after, input.limit + 1);
  const items = found.slice(0, input.limit);
  const last = items.at(-1);
  const more = found.length > input.limit && last !== undefined;
  return {
    items,
    nextCursor: more ? encodeCursor(secretKey, bound, positionOf(last)) : null,
    total: null,
  };
}
