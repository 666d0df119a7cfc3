// URL and URLSearchParams by the WHATWG standard; the parsing is Rust's.
(natives, inner) => {
  'use strict';
  const usv = inner.wellFormed;
  const { iterator, toStringTag } = Symbol;
  const PARTS = [
    'href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'hash',
  ];
  const [HREF, SEARCH] = [PARTS.indexOf('href'), PARTS.indexOf('search')];

  let linked;
  let reload;

  class URLSearchParams {
    // Name, value, name, value, …
    #flat = [];
    // Told when these are a URL's own and have changed.
    #changed = null;

    static {
      linked = (search, changed) => {
        const params = new URLSearchParams(search);
        params.#changed = changed;
        return params;
      };
      reload = (params, search) => {
        params.#flat = natives.parseForm(search.slice(1));
      };
    }

    constructor(init = '') {
      if (init === null || (typeof init !== 'object' && typeof init !== 'function')) {
        const text = usv(init);
        this.#flat = natives.parseForm(text[0] === '?' ? text.slice(1) : text);
      } else if (init[iterator] != null) {
        for (const pair of init) {
          const [name, value, ...more] = [...pair];
          if (value === undefined || more.length > 0) throw new TypeError('each pair must be a name and a value');
          this.#flat.push(usv(name), usv(value));
        }
      } else {
        for (const name of Reflect.ownKeys(init)) {
          if (Object.getOwnPropertyDescriptor(init, name)?.enumerable) this.#flat.push(usv(name), usv(init[name]));
        }
      }
    }

    #notify() {
      this.#changed?.(this.toString());
    }
    // Keeps the pairs for which `keep(name, value)` holds.
    #filter(keep) {
      const flat = [];
      for (let i = 0; i < this.#flat.length; i += 2) {
        if (keep(this.#flat[i], this.#flat[i + 1])) flat.push(this.#flat[i], this.#flat[i + 1]);
      }
      this.#flat = flat;
    }

    get size() {
      return this.#flat.length / 2;
    }
    append(name, value) {
      this.#flat.push(usv(name), usv(value));
      this.#notify();
    }
    delete(name, value) {
      const [wanted, only] = [usv(name), value === undefined ? undefined : usv(value)];
      this.#filter((known, held) => known !== wanted || (only !== undefined && held !== only));
      this.#notify();
    }
    get(name) {
      const wanted = usv(name);
      for (let i = 0; i < this.#flat.length; i += 2) if (this.#flat[i] === wanted) return this.#flat[i + 1];
      return null;
    }
    getAll(name) {
      const wanted = usv(name);
      return this.#flat.filter((_, i) => i % 2 === 1 && this.#flat[i - 1] === wanted);
    }
    has(name, value) {
      const held = this.getAll(name);
      return value === undefined ? held.length > 0 : held.includes(usv(value));
    }
    set(name, value) {
      const [wanted, text] = [usv(name), usv(value)];
      let isSet = false;
      for (let i = 0; i < this.#flat.length && !isSet; i += 2) {
        if (this.#flat[i] !== wanted) continue;
        this.#flat[i + 1] = text;
        isSet = true;
      }
      if (!isSet) {
        this.#flat.push(wanted, text);
      } else {
        let isFirst = true;
        this.#filter((known) => {
          if (known !== wanted) return true;
          const keep = isFirst;
          isFirst = false;
          return keep;
        });
      }
      this.#notify();
    }
    sort() {
      const pairs = [...this];
      pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      this.#flat = pairs.flat();
      this.#notify();
    }
    forEach(callback, self) {
      for (const [name, value] of this) callback.call(self, value, name, this);
    }
    *entries() {
      for (let i = 0; i < this.#flat.length; i += 2) yield [this.#flat[i], this.#flat[i + 1]];
    }
    *keys() {
      for (let i = 0; i < this.#flat.length; i += 2) yield this.#flat[i];
    }
    *values() {
      for (let i = 0; i < this.#flat.length; i += 2) yield this.#flat[i + 1];
    }
    toString() {
      return natives.writeForm(this.#flat);
    }
  }
  Object.defineProperty(URLSearchParams.prototype, iterator, {
    value: URLSearchParams.prototype.entries, writable: true, configurable: true,
  });
  Object.defineProperty(URLSearchParams.prototype, toStringTag, { value: 'URLSearchParams', configurable: true });

  class URL {
    #parts;
    #params = null;

    constructor(url, base) {
      const parts = natives.parseUrl(usv(url), base === undefined ? undefined : usv(base));
      if (parts === null) throw new TypeError(`Invalid URL: ${usv(url)}`);
      this.#parts = parts;
    }
    static canParse(url, base) {
      return natives.parseUrl(usv(url), base === undefined ? undefined : usv(base)) !== null;
    }
    static parse(url, base) {
      return URL.canParse(url, base) ? new URL(url, base) : null;
    }

    get searchParams() {
      this.#params ??= linked(this.#parts[SEARCH], (text) => {
        this.#parts = natives.changeUrl(this.#parts[HREF], 'search', text);
      });
      return this.#params;
    }
    toString() {
      return this.#parts[HREF];
    }
    toJSON() {
      return this.#parts[HREF];
    }

    #change(part, value) {
      const parts = part === 'href' ? natives.parseUrl(value, undefined) : natives.changeUrl(this.#parts[HREF], part, value);
      if (parts === null) throw new TypeError(`Invalid URL: ${value}`);
      this.#parts = parts;
      if (this.#params !== null) reload(this.#params, parts[SEARCH]);
    }

    static {
      PARTS.forEach((part, index) => {
        Object.defineProperty(URL.prototype, part, {
          get() {
            return this.#parts[index];
          },
          // `origin` is read only.
          set: part === 'origin' ? undefined : function (value) {
            this.#change(part, usv(value));
          },
          enumerable: true,
          configurable: true,
        });
      });
    }
  }
  Object.defineProperty(URL.prototype, toStringTag, { value: 'URL', configurable: true });

  inner.URL = URL;
  inner.URLSearchParams = URLSearchParams;
  inner.makeSearchParams = (text) => new URLSearchParams(text);
};
