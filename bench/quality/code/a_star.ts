export interface Cell {
  x: number;
  y: number;
}

const key = (c: Cell) => `${c.x},${c.y}`;

/** Estimate for a grid with four directions; never too large. */
function manhattan(a: Cell, b: Cell): number {
  return Math.abs(a.x - b.x) + Math.abs(a.y - b.y);
}

function neighbours(c: Cell): Cell[] {
  return [
    { x: c.x + 1, y: c.y },
    { x: c.x - 1, y: c.y },
    { x: c.x, y: c.y + 1 },
    { x: c.x, y: c.y - 1 },
  ];
}

/** Way from start to goal over passable cells, or null. */
export function findPath(start: Cell, goal: Cell, cost: (c: Cell) => number): Cell[] | null {
  const open = new Map<string, Cell>([[key(start), start]]);
  const cameFrom = new Map<string, Cell>();
  const g = new Map<string, number>([[key(start), 0]]);
  const f = (c: Cell) => g.get(key(c))! + manhattan(c, goal);

  while (open.size > 0) {
    const current = [...open.values()].reduce((best, c) => (f(c) < f(best) ? c : best));
    if (key(current) === key(goal)) return rebuild(current);
    open.delete(key(current));
    for (const next of neighbours(current)) {
      const step = cost(next);
      if (!Number.isFinite(step)) continue;
      const tentative = g.get(key(current))! + step;
      if (tentative < (g.get(key(next)) ?? Infinity)) {
        cameFrom.set(key(next), current);
        g.set(key(next), tentative);
        open.set(key(next), next);
      }
    }
  }
  return null;

  function rebuild(end: Cell): Cell[] {
    const path = [end];
    for (let c = cameFrom.get(key(end)); c; c = cameFrom.get(key(c))) path.unshift(c);
    return path;
  }
}
