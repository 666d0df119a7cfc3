// The console: every argument becomes text at once, because the objects may change afterwards.
(natives, inner) => {
  'use strict';
  const { getPrototypeOf, getOwnPropertyDescriptor, is, keys } = Object;
  const { isArray } = Array;
  const quote = JSON.stringify;
  const isView = ArrayBuffer.isView;
  const DEPTH_MAX = 8;

  const nameOf = (value) => {
    const prototype = getPrototypeOf(value);
    const constructor = prototype && getOwnPropertyDescriptor(prototype, 'constructor')?.value;
    return typeof constructor === 'function' ? constructor.name : '';
  };

  // One value as text, JSON as far as JSON goes. `room` is how many characters are still wanted, shared by the parts.
  const textOf = (value, above, room) => {
    if (room.left <= 0) return '…';
    const text = leafText(value);
    if (text !== undefined) {
      room.left -= text.length;
      return text;
    }
    if (above.includes(value)) return '[Circular]';
    if (above.length >= DEPTH_MAX) return isArray(value) ? '[Array]' : '[Object]';
    return treeText(value, [...above, value], room);
  };

  const leafText = (value) => {
    switch (typeof value) {
      case 'string':
        return quote(value);
      case 'number':
        return is(value, -0) ? '-0' : `${value}`;
      case 'bigint':
        return `${value}n`;
      case 'function':
        return value.name ? `[Function: ${value.name}]` : '[Function]';
      case 'object':
        break;
      default:
        return String(value);
    }
    if (value === null) return 'null';
    if (value instanceof Error) return errorText(value);
    if (value instanceof Date) return isNaN(value) ? 'Invalid Date' : value.toISOString();
    if (value instanceof RegExp) return String(value);
    if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet) return `[${nameOf(value)}]`;
    if (value instanceof Number || value instanceof String || value instanceof Boolean) {
      return `[${nameOf(value)}: ${leafText(value.valueOf())}]`;
    }
    return undefined;
  };

  const errorText = (error) => {
    const head = error.message ? `${error.name}: ${error.message}` : `${error.name}`;
    const frames = String(error.stack ?? '').trimEnd();
    return frames === '' ? head : `${head}\n${frames}`;
  };

  const treeText = (value, above, room) => {
    const part = (inside) => textOf(inside, above, room);
    if (isArray(value)) return `[${joined(value, part, room)}]`;
    if (value instanceof Map) {
      return `Map(${value.size}) {${joined(value, ([key, item]) => `${part(key)} => ${part(item)}`, room)}}`;
    }
    if (value instanceof Set) return `Set(${value.size}) {${joined(value, part, room)}}`;
    if (value instanceof ArrayBuffer) return `ArrayBuffer ${part(new Uint8Array(value))}`;
    if (isView(value) && !(value instanceof DataView)) {
      return `${nameOf(value)}(${value.length}) [${joined(value, part, room)}]`;
    }
    if (value instanceof inner.URL || value instanceof inner.URLSearchParams) return `${nameOf(value)} ${value}`;
    const name = nameOf(value);
    const prefix = name === '' || name === 'Object' ? '' : `${name} `;
    // A getter may take another property away, as `body` does with `bodyError`.
    const names = keys(value);
    const property = (key) => (getOwnPropertyDescriptor(value, key) ? `${quote(key)}:${part(value[key])}` : '');
    return `${prefix}{${joined(names, property, room)}}`;
  };

  const joined = (items, text, room) => {
    const texts = [];
    for (const item of items) {
      if (room.left <= 0) {
        texts.push('…');
        break;
      }
      const one = text(item);
      if (one !== '') texts.push(one);
    }
    return texts.join(',');
  };

  const messageOf = (value) => {
    if (typeof value === 'string') return value.toWellFormed();
    try {
      return textOf(value, [], { left: natives.consoleRoom() }).toWellFormed();
    } catch (error) {
      // A proxy or a getter of the value threw.
      natives.swallowed();
      return `[a value that cannot be shown]`;
    }
  };

  inner.inspect = (value) => {
    if (typeof value === 'string') return value.toWellFormed();
    return textOf(value, [], { left: 10_000 }).toWellFormed();
  };

  inner.console = {};
  ['trace', 'debug', 'info', 'log', 'warn', 'error'].forEach((name, level) => {
    inner.console[name] = (...values) => natives.write(level, values.map(messageOf));
  });
};
