/** Mean and spread of a series that is seen only once (Welford). */
export class RunningStats {
  count = 0;
  mean = 0;
  #squares = 0;
  min = Infinity;
  max = -Infinity;

  add(value) {
    this.count++;
    const delta = value - this.mean;
    this.mean += delta / this.count;
    this.#squares += delta * (value - this.mean);
    this.min = Math.min(this.min, value);
    this.max = Math.max(this.max, value);
  }

  get variance() {
    return this.count > 1 ? this.#squares / (this.count - 1) : 0;
  }

  get deviation() {
    return Math.sqrt(this.variance);
  }
}

/** Value below which the given share of the numbers lies, interpolated. */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const low = Math.floor(position);
  const high = Math.ceil(position);
  return sorted[low] + (sorted[high] - sorted[low]) * (position - low);
}

export function correlation(xs, ys) {
  const mx = average(xs);
  const my = average(ys);
  let xy = 0;
  let xx = 0;
  let yy = 0;
  for (let i = 0; i < xs.length; i++) {
    xy += (xs[i] - mx) * (ys[i] - my);
    xx += (xs[i] - mx) ** 2;
    yy += (ys[i] - my) ** 2;
  }
  return xy / Math.sqrt(xx * yy);
}

function average(values) {
  return values.reduce((sum, v) => sum + v, 0) / values.length;
}
