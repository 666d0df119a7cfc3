// What a program finds around it, and what it does not.
(natives, inner) => {
  'use strict';
  const { defineProperty } = Object;
  const stringify = JSON.stringify;
  const parse = JSON.parse;

  const give = (name, value) =>
    defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });

  // These would let a fold see the time, the garbage collector or another thread.
  for (const name of ['WeakRef', 'FinalizationRegistry', 'performance', 'Atomics', 'SharedArrayBuffer']) {
    delete globalThis[name];
  }
  defineProperty(Math, 'random', { value: () => natives.random(), writable: true, configurable: true });

  for (const name of ['console', 'URL', 'URLSearchParams', 'TextEncoder', 'TextDecoder', 'structuredClone']) {
    give(name, inner[name]);
  }

  const sha256 = (message) => natives.sha256(inner.messageOf(message));
  const sha512 = (message) => natives.sha512(inner.messageOf(message));
  // 'sha256', 'SHA-256' and the function itself all name the hash.
  const hashName = (hash) =>
    hash === sha256 ? 'sha256' : hash === sha512 ? 'sha512' : `${hash}`.toLowerCase().replace('-', '');
  give('sha256', sha256);
  give('sha512', sha512);
  give('hmac', (hash, key, message) => natives.hmac(hashName(hash), inner.messageOf(key), inner.messageOf(message)));
  give('toHex', (bytes) => natives.toHex(inner.messageOf(bytes)));
  give('uuid', () => natives.uuid());
  give('verifyWebhook', inner.verifyWebhook);

  // Schema and value cross as JSON text: what JSON cannot hold, neither can they describe.
  const jsonText = (value) => (stringify(value) ?? 'null').toWellFormed();
  give('validateJsonSchema', (schema, value) => parse(natives.validateJsonSchema(jsonText(schema), jsonText(value))));
  give('validateJsonTypeDef', (schema, value) => parse(natives.validateJsonTypeDef(jsonText(schema), jsonText(value))));

  // Kept while the program loads, and built when they are listed; input and select mark what a person fills in.
  give('template', (name, build) => natives.template(name, build));
  give('input', (name) => ({ field: 'input', name }));
  give('select', (name, options) => ({ field: 'select', name, options }));
};
