// structuredClone, for what a hook can hold: cycles, Map, Set, Date, RegExp, buffers and views, errors.
(natives, inner) => {
  'use strict';
  const isView = ArrayBuffer.isView;
  const ERRORS = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

  const refuse = (what) => {
    throw new DOMException(`${what} could not be cloned`, 'DataCloneError');
  };

  const clone = (value, clones) => {
    if (typeof value === 'function' || typeof value === 'symbol') refuse(String(value));
    if (typeof value !== 'object' || value === null) return value;
    const known = clones.get(value);
    if (known !== undefined) return known;
    const [copy, fill] = begin(value, clones);
    // Known before it is filled, so that a cycle ends here.
    clones.set(value, copy);
    fill?.();
    return copy;
  };

  // An empty copy of the same kind, and how it is filled.
  const begin = (value, clones) => {
    const inside = (part) => clone(part, clones);
    if (Array.isArray(value)) {
      const copy = new Array(value.length);
      return [copy, () => copyProperties(value, copy, inside)];
    }
    if (value instanceof Date) return [new Date(value.getTime())];
    if (value instanceof RegExp) return [new RegExp(value.source, value.flags)];
    if (value instanceof Boolean || value instanceof Number || value instanceof String) return [Object(value.valueOf())];
    if (value instanceof Map) {
      const [copy, entries] = [new Map(), [...value]];
      return [copy, () => entries.forEach(([key, item]) => copy.set(inside(key), inside(item)))];
    }
    if (value instanceof Set) {
      const [copy, items] = [new Set(), [...value]];
      return [copy, () => items.forEach((item) => copy.add(inside(item)))];
    }
    if (value instanceof ArrayBuffer) return [value.slice(0)];
    if (isView(value)) {
      const length = value instanceof DataView ? value.byteLength : value.length;
      return [new value.constructor(inside(value.buffer), value.byteOffset, length)];
    }
    if (value instanceof Error) return beginError(value, inside);
    if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet) refuse(`#<${value.constructor.name}>`);
    const copy = {};
    return [copy, () => copyProperties(value, copy, inside)];
  };

  const beginError = (value, inside) => {
    const Kind = ERRORS[value.name] ?? Error;
    const copy = new Kind(String(value.message));
    Object.defineProperty(copy, 'stack', { value: value.stack, writable: true, configurable: true });
    if (!Object.hasOwn(value, 'cause')) return [copy];
    return [copy, () => Object.defineProperty(copy, 'cause', { value: inside(value.cause), writable: true, configurable: true })];
  };

  const copyProperties = (value, copy, inside) => {
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(value, key)) continue;
      Object.defineProperty(copy, key, { value: inside(value[key]), writable: true, enumerable: true, configurable: true });
    }
  };

  inner.structuredClone = (value) => clone(value, new Map());
};
