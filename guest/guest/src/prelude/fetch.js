// Headers and Response by the WHATWG standard, as far as bodies that are there at once need them.
(natives, inner) => {
  'use strict';
  const { iterator } = Symbol;
  const usv = inner.wellFormed;
  const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

  class Headers {
    #pairs = [];
    constructor(init) {
      if (init === undefined || init === null) return;
      const pairs = typeof init[iterator] === 'function' ? init : Object.entries(init);
      for (const [name, value] of pairs) this.append(name, value);
    }
    append(name, value) {
      const [known, text] = [`${name}`.toLowerCase(), usv(value).trim()];
      if (!NAME.test(known)) throw new TypeError(`\`${name}\` is no name for a header`);
      if (/[\0\r\n]/.test(text)) throw new TypeError(`the header \`${known}\` holds a line break`);
      this.#pairs.push([known, text]);
    }
    set(name, value) {
      this.delete(name);
      this.append(name, value);
    }
    delete(name) {
      const known = `${name}`.toLowerCase();
      this.#pairs = this.#pairs.filter(([other]) => other !== known);
    }
    get(name) {
      const known = `${name}`.toLowerCase();
      const values = this.#pairs.filter(([other]) => other === known).map(([, value]) => value);
      return values.length === 0 ? null : values.join(', ');
    }
    getSetCookie() {
      return this.#pairs.filter(([name]) => name === 'set-cookie').map(([, value]) => value);
    }
    has(name) {
      return this.get(name) !== null;
    }
    forEach(callback, self) {
      for (const [name, value] of this) callback.call(self, value, name, this);
    }
    *entries() {
      const names = [...new Set(this.#pairs.map(([name]) => name))].sort();
      for (const name of names) yield [name, this.get(name)];
    }
    *keys() {
      for (const [name] of this.entries()) yield name;
    }
    *values() {
      for (const [, value] of this.entries()) yield value;
    }
    [iterator]() {
      return this.entries();
    }
  }

  class Response {
    #bytes;
    #isUsed = false;
    constructor(bytes, { url, status, statusText, headers, redirected }) {
      this.#bytes = bytes;
      this.url = url ?? '';
      this.status = status ?? 200;
      this.statusText = statusText ?? '';
      this.ok = this.status >= 200 && this.status < 300;
      this.headers = new Headers(headers);
      this.redirected = Boolean(redirected);
    }
    #take() {
      if (this.#isUsed) throw new TypeError('the body was read already');
      this.#isUsed = true;
      return this.#bytes;
    }
    get bodyUsed() {
      return this.#isUsed;
    }
    async bytes() {
      return this.#take();
    }
    async arrayBuffer() {
      return this.#take().buffer;
    }
    async text() {
      return new inner.TextDecoder().decode(this.#take());
    }
    async json() {
      return JSON.parse(await this.text());
    }
    clone() {
      if (this.#isUsed) throw new TypeError('the body was read already');
      return new Response(this.#bytes.slice(), this);
    }
  }

  // `[octets or undefined, the content type it has by itself]`.
  const bodyOf = (body) => {
    if (body === undefined || body === null) return [undefined, undefined];
    if (body instanceof inner.URLSearchParams) {
      return [natives.encode(`${body}`), 'application/x-www-form-urlencoded;charset=UTF-8'];
    }
    if (typeof body === 'string') return [natives.encode(usv(body)), 'text/plain;charset=UTF-8'];
    const octets = inner.octetsOf(body);
    if (octets === undefined) throw new TypeError('a body is a string, bytes or URLSearchParams: JSON.stringify(…) makes a string of an object');
    return [octets, undefined];
  };

  // What `fetch(input, init)` asks for, as it crosses.
  inner.fetchOf = (input, init = {}) => {
    const url = new inner.URL(`${input}`);
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new TypeError(`fetch speaks http and https, not ${url.protocol}`);
    const method = `${init.method ?? 'GET'}`.toUpperCase();
    if (!NAME.test(method)) throw new TypeError(`\`${method}\` is no method`);
    const [octets, kind] = bodyOf(init.body);
    if (octets !== undefined && (method === 'GET' || method === 'HEAD')) throw new TypeError(`a ${method} has no body`);
    const headers = new Headers(init.headers);
    if (kind !== undefined && !headers.has('content-type')) headers.set('content-type', kind);
    const body = octets === undefined ? null : natives.toBase64(octets);
    return { url: `${url}`, method, headers: [...headers], body };
  };

  inner.responseOf = (given) => new Response(natives.fromBase64(given.body ?? ''), given);
  inner.Headers = Headers;
  inner.Response = Response;
};
