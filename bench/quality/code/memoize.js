/**
 * Remembers results of a pure function by its arguments.
 * Objects are compared by identity through a WeakMap, primitives by value.
 */
export function memoize(fn, { maxAge = Infinity } = {}) {
  const root = makeNode();

  function memoized(...args) {
    let node = root;
    for (const arg of args) node = childOf(node, arg);
    const stale = node.filledAt !== undefined && Date.now() - node.filledAt > maxAge;
    if (!node.filled || stale) {
      node.result = fn.apply(this, args);
      node.filled = true;
      node.filledAt = Date.now();
    }
    return node.result;
  }

  memoized.clear = () => {
    root.primitives.clear();
    root.objects = new WeakMap();
    root.filled = false;
  };
  return memoized;
}

function makeNode() {
  return { primitives: new Map(), objects: new WeakMap(), filled: false };
}

function childOf(node, arg) {
  const isObject = (typeof arg === 'object' && arg !== null) || typeof arg === 'function';
  const store = isObject ? node.objects : node.primitives;
  let next = store.get(arg);
  if (!next) {
    next = makeNode();
    store.set(arg, next);
  }
  return next;
}
