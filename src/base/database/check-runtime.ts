/** The oldest Node that carries a sound SQLite. */
const oldestNode = [24, 15] as const;

/** SQLite 3.7.0 to 3.51.2 can corrupt a write-ahead log when two connections write and checkpoint at once; 3.52.0 was withdrawn. */
const oldestSqlite = [3, 51, 3] as const;
const withdrawnSqlite = "3.52.0";

/** What is wrong with this Node and the SQLite in it, or null when both are sound. */
export function findRuntimeFault(versions: { node: string; sqlite: string }): string | null {
  if (isOlder(versions.node, oldestNode))
    return `Node ${versions.node} is older than ${oldestNode.join(".")}, the first that carries a SQLite which cannot corrupt a write-ahead log.`;
  if (isOlder(versions.sqlite, oldestSqlite) || versions.sqlite === withdrawnSqlite)
    return `SQLite ${versions.sqlite} in this Node can corrupt a write-ahead log; ${oldestSqlite.join(".")} is the oldest sound one.`;
  return null;
}

function isOlder(version: string, oldest: readonly number[]): boolean {
  const parts = version.split(".").map(Number);
  for (const [place, needed] of oldest.entries()) {
    const part = parts[place] ?? 0;
    if (part !== needed) return !(part > needed);
  }
  return false;
}
