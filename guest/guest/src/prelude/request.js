// The request: plain properties, and costly ones that are made at their first use and are plain from then on. So
// spread, JSON.stringify and structuredClone see them, and a reducer that never looks at the body never parses it.
(natives, inner) => {
  'use strict';
  const { defineProperty, freeze, getOwnPropertyDescriptor, keys } = Object;

  const settle = (request, name, value) => {
    defineProperty(request, name, { value, writable: true, enumerable: true, configurable: true });
    return value;
  };

  const settleBody = (request) => {
    let body;
    let fault;
    try {
      body = natives.body();
    } catch (error) {
      body = natives.rawBody();
      fault = error;
    }
    // Only a body that claims to be JSON and is not has a `bodyError`.
    if (fault === undefined) delete request.bodyError;
    else settle(request, 'bodyError', String(fault.message));
    return settle(request, 'body', body);
  };

  // The accessors of every request.
  const parts = {
    get headers() {
      return settle(this, 'headers', natives.headers());
    },
    set headers(value) {
      settle(this, 'headers', value);
    },
    get query() {
      return settle(this, 'query', inner.makeSearchParams(natives.queryString()));
    },
    set query(value) {
      settle(this, 'query', value);
    },
    get body() {
      return settleBody(this);
    },
    set body(value) {
      settle(this, 'body', value);
    },
    get rawBody() {
      return settle(this, 'rawBody', natives.rawBody());
    },
    set rawBody(value) {
      settle(this, 'rawBody', value);
    },
    get event() {
      return settle(this, 'event', inner.eventOf(this));
    },
    set event(value) {
      settle(this, 'event', value);
    },
    get bodyError() {
      settleBody(this);
      return getOwnPropertyDescriptor(this, 'bodyError')?.value;
    },
    set bodyError(value) {
      settle(this, 'bodyError', value);
    },
  };
  inner.requestParts = keys(parts).flatMap((name) => {
    const { get, set } = getOwnPropertyDescriptor(parts, name);
    natives.setRequestPart(name, freeze(get), freeze(set));
    return [get, set];
  });

  // True or false, whatever it is given. A copy of a request is checked by what the copy holds.
  inner.verifyWebhook = (request, secret, scheme) => {
    // A secret that was never set must not become a key that anybody can guess.
    if (typeof secret !== 'string') return false;
    try {
      const [key, how] = [inner.wellFormed(secret), inner.wellFormed(scheme)];
      if (natives.isCurrent(request)) return natives.verifyCurrent(key, how);
      const headers = Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), `${value}`]);
      return natives.verifyCopy(headers, inner.messageOf(request.rawBody), Date.parse(request.createdAt), key, how);
    } catch {
      natives.swallowed();
      return false;
    }
  };
};
