// superjson, version 1, as @interval/sdk speaks it: JSON, and beside it what JSON cannot say.
(natives, inner) => {
  'use strict';
  const { keys, getPrototypeOf, hasOwn, create, prototype: ordinary } = Object;
  const { isArray } = Array;
  const stringify = JSON.stringify;
  const isView = ArrayBuffer.isView;
  const ERRORS = { TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError };
  const TYPED = { Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array, Uint8ClampedArray };
  const DEPTH_MAX = 100;
  // A function or a symbol: what JSON leaves out.
  const NOTHING = [undefined, undefined];

  // Whether undefined is left out of objects, as JSON does, or said.
  let isPlainJson = false;

  // `[plain, annotation]`: a copy that nothing but JSON is in, and what it leaves unsaid.
  const plain = (value, above) => {
    switch (typeof value) {
      case 'undefined':
        return [null, ['undefined']];
      case 'string':
        return [value.toWellFormed(), undefined];
      case 'boolean':
        return [value, undefined];
      case 'bigint':
        return [`${value}`, ['bigint']];
      case 'number':
        if (Number.isFinite(value) && !Object.is(value, -0)) return [value, undefined];
        return [Object.is(value, -0) ? '-0' : `${value}`, ['number']];
      case 'object':
        break;
      default:
        return NOTHING;
    }
    if (value === null) return [null, undefined];
    if (value instanceof Date) return isNaN(value) ? [null, undefined] : [value.toISOString(), ['Date']];
    if (value instanceof RegExp) return [`${value}`.toWellFormed(), ['regexp']];
    if (value instanceof inner.URL) return [`${value}`, ['URL']];
    for (let i = 0; i < above.length; i++) {
      if (above[i] === value) throw new TypeError('it holds itself, which JSON cannot say');
    }
    if (above.length >= DEPTH_MAX) throw new RangeError(`it nests deeper than ${DEPTH_MAX}`);
    const inside = [...above, value];
    if (isArray(value)) return list(value, inside);
    if (value instanceof Map) return list([...value], inside, 'map');
    if (value instanceof Set) return list([...value], inside, 'set');
    if (value instanceof Error) {
      const parts = { name: `${value.name}`, message: `${value.message}` };
      if (hasOwn(value, 'cause')) parts.cause = value.cause;
      return tree(parts, inside, 'Error');
    }
    if (isView(value) && !(value instanceof DataView)) {
      const name = keys(TYPED).find((kind) => value instanceof TYPED[kind]);
      if (name !== undefined) return list([...value], inside, ['typed-array', name]);
    }
    if (value instanceof inner.Response) throw new TypeError('it is a Response, which cannot be kept: take its text() or json()');
    const prototype = getPrototypeOf(value);
    if (prototype !== ordinary && prototype !== null && typeof value.toJSON === 'function') {
      return plain(value.toJSON(), inside);
    }
    if (value instanceof Number || value instanceof String || value instanceof Boolean) return plain(value.valueOf(), inside);
    return tree(value, inside);
  };

  const list = (items, above, kind) => {
    const copy = [];
    const annotations = create(null);
    for (let i = 0; i < items.length; i++) {
      const [item, annotation] = plain(items[i], above);
      copy[i] = item ?? null;
      annotate(annotations, `${i}`, annotation);
    }
    return [copy, annotated(annotations, kind)];
  };

  const tree = (value, above, kind) => {
    const copy = create(null);
    const annotations = create(null);
    for (const key of keys(value)) {
      const one = plain(value[key], above);
      if (one === NOTHING || (isPlainJson && value[key] === undefined)) continue;
      const name = key.toWellFormed();
      copy[name] = one[0];
      annotate(annotations, name, one[1]);
    }
    return [copy, annotated(annotations, kind)];
  };

  const annotate = (annotations, key, annotation) => {
    if (annotation === undefined) return;
    const escaped = key.replaceAll('.', '\\.');
    if (isArray(annotation)) annotations[escaped] = annotation;
    else for (const below of keys(annotation)) annotations[`${escaped}.${below}`] = annotation[below];
  };

  const annotated = (annotations, kind) => {
    const isEmpty = keys(annotations).length === 0;
    if (kind === undefined) return isEmpty ? undefined : annotations;
    return isEmpty ? [kind] : [kind, annotations];
  };

  // `{json, meta?}` of any value.
  inner.pack = (value) => {
    const [json, values] = plain(value, []);
    return { __proto__: null, json: json ?? null, meta: values && { __proto__: null, values } };
  };

  // What JSON says of any value.
  inner.jsonOf = (value) => {
    isPlainJson = true;
    try {
      return plain(value, [])[0] ?? null;
    } finally {
      isPlainJson = false;
    }
  };

  // Text of what holds nothing but plain copies: no code of the program can run here.
  inner.textOf = (copies) => stringify(copies);

  // A value as it is kept, as text. `what` is named when it cannot be.
  inner.packed = (value, what) => {
    if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError(`${what} is a ${typeof value}, which cannot be kept`);
    try {
      return stringify(inner.pack(value));
    } catch (error) {
      throw new TypeError(`${what} cannot be kept: ${error?.message ?? error}`, { cause: error });
    }
  };

  const pathOf = (text) => {
    const path = [''];
    for (let i = 0; i < text.length; i++) {
      if (text[i] === '\\' && text[i + 1] === '.') path[path.length - 1] += text[++i];
      else if (text[i] === '.') path.push('');
      else path[path.length - 1] += text[i];
    }
    return path;
  };

  const revive = (json, type) => {
    if (isArray(type)) return type[0] === 'typed-array' && hasOwn(TYPED, type[1]) ? new TYPED[type[1]](json) : json;
    switch (type) {
      case 'undefined':
        return undefined;
      case 'bigint':
        return BigInt(json);
      case 'Date':
        return new Date(json);
      case 'regexp':
        return new RegExp(json.slice(1, json.lastIndexOf('/')), json.slice(json.lastIndexOf('/') + 1));
      case 'set':
        return new Set(json);
      case 'map':
        return new Map(json);
      case 'number':
        return Number(json);
      case 'URL':
        return new inner.URL(json);
      case 'Error':
        return inner.errorOf(json.name, json.message, json.cause);
      default:
        return json;
    }
  };

  const reviveAt = (root, path, type) => {
    let holder = root;
    for (let i = 0; i < path.length - 1; i++) {
      if (typeof holder !== 'object' || holder === null || !hasOwn(holder, path[i])) return;
      holder = holder[path[i]];
    }
    const last = path[path.length - 1];
    if (typeof holder === 'object' && holder !== null && hasOwn(holder, last)) holder[last] = revive(holder[last], type);
  };

  // What is inside is revived first, as long as everything around it is still JSON.
  const reviveAll = (root, annotation, path) => {
    const [type, below] = isArray(annotation) ? annotation : [undefined, annotation];
    if (typeof below === 'object' && below !== null) {
      for (const key of keys(below)) reviveAll(root, below[key], [...path, ...pathOf(key)]);
    }
    if (type !== undefined) reviveAt(root, path, type);
  };

  inner.unpack = (json, meta) => {
    const root = { json };
    if (meta?.values !== undefined) reviveAll(root, meta.values, ['json']);
    return root.json;
  };

  // The SDK takes text that is a date, to the letter, for the date.
  const withDates = (value) => {
    if (typeof value === 'string') {
      if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)) return value;
      const date = new Date(value);
      return isNaN(date) ? value : date;
    }
    if (typeof value !== 'object' || value === null) return value;
    if (isArray(value)) return value.map(withDates);
    const prototype = getPrototypeOf(value);
    if (prototype !== ordinary && prototype !== null) return value;
    const copy = {};
    for (const key of keys(value)) {
      Object.defineProperty(copy, key, { value: withDates(value[key]), writable: true, enumerable: true, configurable: true });
    }
    return copy;
  };
  inner.withDates = withDates;

  // An error that was kept: its name, its message, and a kind where the language has one of that name.
  inner.errorOf = (name, message, cause) => {
    const Kind = hasOwn(ERRORS, name) ? ERRORS[name] : Error;
    const error = cause === undefined ? new Kind(message) : new Kind(message, { cause });
    if (error.name !== name) Object.defineProperty(error, 'name', { value: name, writable: true, configurable: true });
    return error;
  };
};
