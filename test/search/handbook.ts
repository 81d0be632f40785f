import type { z } from "zod";
import { collectionsCreate } from "#operations/collections/create.ts";
import { documentsAdd } from "#operations/documents/add.ts";
import { searchQuery } from "#operations/search/query.ts";
import { modelFolders, openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";

/** What the collection "handbook" holds. */
export const handbook = {
  "backup.md":
    "# Backups\n\nRun `candor backup` to copy the database while work goes on.\n\n## Restore\n\nStop the server and put the copy in place of the database.",
  "models.md": "# Models\n\nA static embedding model is a table of token vectors.\n",
  "keys.md": "# Keys\n\nAn API key belongs to a principal; revoke it when a laptop is lost.\n",
  "birds.txt": "Gannets dive from forty metres. Puffins dig burrows in the turf.",
  "parse.py":
    'def parse_header(line):\n    """Split an HTTP header."""\n    return line.split(\':\')\n',
  "kueche.txt": "Die Köchin kocht Rhabarber-Kompott für das Café.",
};

export const modes = ["hybrid", "semantic", "keyword"] as const;

type QueryInput = z.input<typeof searchQuery.input>;
export type Found = Awaited<ReturnType<Handbook["search"]>>;

/** The product with two spaces and one collection, "handbook", which `search` asks unless told otherwise. */
export type Handbook = {
  readonly room: TestApp;
  search(query: string, input?: Partial<QueryInput>): Promise<Awaited<ReturnType<typeof ask>>>;
  add(collection: string, key: string, content: string): Promise<Awaited<ReturnType<typeof put>>>;
};

const ask = (room: TestApp, input: QueryInput) => room.call(searchQuery, input);
const put = (room: TestApp, input: z.input<typeof documentsAdd.input>) =>
  room.call(documentsAdd, input);

/** Opens it, over the data directory of one that was closed when its folder is given. */
export async function openHandbook(folder?: string): Promise<Handbook> {
  const room = await openTestApp(
    { "models.static": [modelFolders.standard, modelFolders.tiny] },
    folder,
  );
  const add: Handbook["add"] = (collection, key, content) =>
    put(room, { collection, key, content });
  if (folder === undefined) {
    await room.call(collectionsCreate, { name: "handbook" });
    for (const [key, content] of Object.entries(handbook)) await add("handbook", key, content);
  }
  return {
    room,
    add,
    search: (query, input = {}) => ask(room, { query, collections: ["handbook"], ...input }),
  };
}

export const keysOf = ({ items }: Found): string[] => items.map(({ key }) => key);
