export class CycleError extends Error {
  constructor(readonly cycle: string[]) {
    super(`cycle: ${cycle.join(' -> ')}`);
  }
}

/** Orders the names so that each comes after everything it depends on. */
export function topologicalOrder(dependencies: Map<string, string[]>): string[] {
  const order: string[] = [];
  const state = new Map<string, 'visiting' | 'done'>();
  const trail: string[] = [];

  function visit(name: string): void {
    if (state.get(name) === 'done') return;
    if (state.get(name) === 'visiting') {
      throw new CycleError([...trail.slice(trail.indexOf(name)), name]);
    }
    state.set(name, 'visiting');
    trail.push(name);
    for (const needed of dependencies.get(name) ?? []) visit(needed);
    trail.pop();
    state.set(name, 'done');
    order.push(name);
  }

  for (const name of dependencies.keys()) visit(name);
  return order;
}

/** Groups of tasks that can run at the same time, one group after another. */
export function layers(dependencies: Map<string, string[]>): string[][] {
  const depth = new Map<string, number>();
  for (const name of topologicalOrder(dependencies)) {
    const needs = dependencies.get(name) ?? [];
    depth.set(name, needs.length ? Math.max(...needs.map((n) => depth.get(n)!)) + 1 : 0);
  }
  const result: string[][] = [];
  for (const [name, d] of depth) (result[d] ??= []).push(name);
  return result;
}
