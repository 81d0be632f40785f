export function debounce(fn, waitMs, { leading = false } = {}) {
  let timer = null;
  let lastArgs = null;

  function run() {
    timer = null;
    if (lastArgs) {
      const args = lastArgs;
      lastArgs = null;
      fn(...args);
    }
  }

  function debounced(...args) {
    if (leading && timer === null) {
      fn(...args);
    } else {
      lastArgs = args;
    }
    clearTimeout(timer);
    timer = setTimeout(run, waitMs);
  }

  debounced.cancel = () => {
    clearTimeout(timer);
    timer = null;
    lastArgs = null;
  };
  debounced.flush = () => {
    clearTimeout(timer);
    run();
  };
  return debounced;
}

export function throttle(fn, intervalMs) {
  let last = -Infinity;
  let timer = null;
  return (...args) => {
    const wait = last + intervalMs - performance.now();
    if (wait <= 0) {
      last = performance.now();
      fn(...args);
    } else if (timer === null) {
      timer = setTimeout(() => {
        timer = null;
        last = performance.now();
        fn(...args);
      }, wait);
    }
  };
}
