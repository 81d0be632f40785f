export function pointAt(p0, p1, p2, p3, t) {
  const u = 1 - t;
  const w0 = u * u * u;
  const w1 = 3 * u * u * t;
  const w2 = 3 * u * t * t;
  const w3 = t * t * t;
  return {
    x: w0 * p0.x + w1 * p1.x + w2 * p2.x + w3 * p3.x,
    y: w0 * p0.y + w1 * p1.y + w2 * p2.y + w3 * p3.y,
  };
}

export function split(p0, p1, p2, p3, t) {
  const mix = (a, b) => ({ x: a.x + (b.x - a.x) * t, y: a.y + (b.y - a.y) * t });
  const a = mix(p0, p1);
  const b = mix(p1, p2);
  const c = mix(p2, p3);
  const d = mix(a, b);
  const e = mix(b, c);
  const middle = mix(d, e);
  return [
    [p0, a, d, middle],
    [middle, e, c, p3],
  ];
}

export function flatten(p0, p1, p2, p3, tolerance = 0.25) {
  if (isFlat(p0, p1, p2, p3, tolerance)) return [p0, p3];
  const [left, right] = split(p0, p1, p2, p3, 0.5);
  return [...flatten(...left, tolerance), ...flatten(...right, tolerance).slice(1)];
}

function isFlat(p0, p1, p2, p3, tolerance) {
  const ux = 3 * p1.x - 2 * p0.x - p3.x;
  const uy = 3 * p1.y - 2 * p0.y - p3.y;
  const vx = 3 * p2.x - 2 * p3.x - p0.x;
  const vy = 3 * p2.y - 2 * p3.y - p0.y;
  return Math.max(ux * ux, vx * vx) + Math.max(uy * uy, vy * vy) <= 16 * tolerance * tolerance;
}
