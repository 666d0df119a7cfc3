// Closes everything that outlives a call, so that requests may follow one another in one guest: see live.rs.
(natives, inner) => {
  'use strict';
  const { defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf } = Object;
  const { ownKeys } = Reflect;

  // Objects that no global leads to.
  const hidden = () => {
    const generator = function* () {};
    const asyncGenerator = async function* () {};
    const iterators = [
      [][Symbol.iterator](), ''[Symbol.iterator](), new Map()[Symbol.iterator](), new Set()[Symbol.iterator](),
      'a'.matchAll(/a/g), Iterator.concat?.([]), generator(), asyncGenerator(), Iterator.from({ next() {} }), [].values().map((one) => one),
    ];
    return [generator, asyncGenerator, async () => {}, ...iterators.filter(Boolean)].map(getPrototypeOf);
  };

  // What would make code of text, hide that something was thrown, or tell a frozen object from one that is not.
  const doors = () => [
    [globalThis, ['eval', 'Function', 'Promise', 'Proxy', 'queueMicrotask']],
    [Object, ['isFrozen', 'isSealed', 'isExtensible', 'getOwnPropertyDescriptor', 'getOwnPropertyDescriptors']],
    [Array, ['fromAsync']],
    // Changes the expression first, and finds that it is frozen after.
    [RegExp.prototype, ['compile']],
    [Reflect, ownKeys(Reflect).filter((key) => typeof Reflect[key] === 'function')],
    ...[function () {}, function* () {}, async () => {}, async function* () {}].map((kind) => [
      getPrototypeOf(kind),
      ['constructor'],
    ]),
  ];

  // A function that throws, and otherwise looks like the one it replaces.
  const closed = (door) => {
    const other = natives.makeClosed();
    for (const key of ownKeys(door)) {
      if (key === 'length' || key === 'name' || key === 'prototype') {
        const { value, enumerable } = getOwnPropertyDescriptor(door, key);
        defineProperty(other, key, { value, writable: false, enumerable, configurable: false });
      }
    }
    return other;
  };

  // Setters that change only the object they are called on.
  const harmless = () =>
    new Set(
      [Object.prototype, URL.prototype, URLSearchParams.prototype, Iterator.prototype].flatMap((prototype) =>
        ownKeys(prototype).map((key) => getOwnPropertyDescriptor(prototype, key).set),
      ),
    );

  const close = (holder, key, how) => {
    const known = getOwnPropertyDescriptor(holder, key);
    if (known === undefined) return;
    defineProperty(holder, key, how(known));
  };

  // `shared` is what the program declared at its top. Throws when something cannot be closed.
  inner.freezeAll = (shared) => {
    const roots = [globalThis, ...hidden(), ...inner.requestParts, ...shared];
    const spared = harmless();
    for (const [holder, keys] of doors()) {
      for (const key of keys) close(holder, key, ({ value }) => ({ value: closed(value) }));
    }
    const seen = new Set([undefined, null]);
    const waiting = roots;
    while (waiting.length > 0) {
      const value = waiting.pop();
      if ((typeof value !== 'object' && typeof value !== 'function') || seen.has(value)) continue;
      seen.add(value);
      waiting.push(getPrototypeOf(value));
      for (const key of ownKeys(value)) {
        const property = getOwnPropertyDescriptor(value, key);
        if (property.set !== undefined && !spared.has(property.set)) {
          close(value, key, ({ get }) => ({ get, set: closed(property.set) }));
        }
        waiting.push(property.value, property.get, property.set);
      }
      // The global object alone stays open: `secrets` changes with the call, and no program here can name it.
      if (value !== globalThis) freeze(value);
    }
  };
};
