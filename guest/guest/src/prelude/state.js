// The state between requests: naming the place of what JSON cannot hold. Runs only when a state was refused.
(natives, inner) => {
  'use strict';
  const { keys, freeze, defineProperty } = Object;
  const { isArray } = Array;
  const parse = JSON.parse;
  const PLAIN_NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

  const step = (path, holder, key) => {
    if (isArray(holder)) return `${path}[${key}]`;
    if (!PLAIN_NAME.test(key)) return `${path}[${JSON.stringify(key)}]`;
    return path === '' ? key : `${path}.${key}`;
  };

  // The path to `holder` within `value`, or undefined. `seen` keeps it from walking in circles.
  const pathTo = (value, holder, path, seen) => {
    if (value === holder) return path;
    if (typeof value !== 'object' || value === null || seen.has(value)) return undefined;
    seen.add(value);
    for (const key of keys(value)) {
      const found = pathTo(value[key], holder, step(path, value, key), seen);
      if (found !== undefined) return found;
    }
    return undefined;
  };

  // What `toJSON` made stands nowhere in the state: then the key alone has to do.
  inner.pathOf = (state, holder, key) => {
    if (key === '' && holder[''] === state) return '';
    return step(pathTo(state, holder, '', new Set()) ?? '', holder, key).toWellFormed();
  };

  const cycle = (value, path, above) => {
    if (typeof value !== 'object' || value === null) return undefined;
    if (above.has(value)) return path;
    above.add(value);
    for (const key of keys(value)) {
      const found = cycle(value[key], step(path, value, key), above);
      if (found !== undefined) return found;
    }
    above.delete(value);
    return undefined;
  };

  inner.cycleIn = (state) => cycle(state, '', new Set())?.toWellFormed();
  inner.replacer = natives.replacer;

  const deepFreeze = (value) => {
    if (typeof value === 'object' && value !== null) {
      for (const key of keys(value)) deepFreeze(value[key]);
      freeze(value);
    }
    return value;
  };

  inner.setSecrets = (text) => {
    const secrets = deepFreeze(parse(text));
    defineProperty(globalThis, 'secrets', { value: secrets, writable: false, enumerable: false, configurable: true });
    return secrets;
  };
};
