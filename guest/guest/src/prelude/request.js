// The request: plain properties, and costly ones that are made at their first use and are plain from then on. So
// spread, JSON.stringify and structuredClone see them, and a reducer that never looks at the body never parses it.
(natives, inner) => {
  'use strict';
  const { defineProperty } = Object;
  const ours = new WeakSet();

  const settle = (request, name, value) => {
    defineProperty(request, name, { value, writable: true, enumerable: true, configurable: true });
    return value;
  };

  const parsedBody = (request, claimsJson) => {
    if (!claimsJson) return settle(request, 'body', natives.body());
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

  inner.makeRequest = (id, seq, method, path, queryString, contentType, createdAtMs) => {
    const claimsJson = contentType !== '' && natives.claimsJson(contentType);
    const request = {
      id,
      seq,
      method,
      path,
      get headers() {
        return settle(request, 'headers', natives.headers());
      },
      set headers(value) {
        settle(request, 'headers', value);
      },
      get query() {
        return settle(request, 'query', inner.makeSearchParams(queryString));
      },
      set query(value) {
        settle(request, 'query', value);
      },
      queryString,
      get body() {
        return parsedBody(request, claimsJson);
      },
      set body(value) {
        settle(request, 'body', value);
      },
      get rawBody() {
        return settle(request, 'rawBody', natives.rawBody());
      },
      set rawBody(value) {
        settle(request, 'rawBody', value);
      },
      contentType,
      createdAt: new Date(createdAtMs).toISOString(),
      get event() {
        return settle(request, 'event', inner.eventOf(request));
      },
      set event(value) {
        settle(request, 'event', value);
      },
    };
    if (claimsJson) {
      defineProperty(request, 'bodyError', {
        get() {
          parsedBody(request, claimsJson);
          return request.bodyError;
        },
        set(value) {
          settle(request, 'bodyError', value);
        },
        enumerable: true,
        configurable: true,
      });
    }
    ours.add(request);
    return request;
  };

  // True or false, whatever it is given. A copy of a request is checked by what the copy holds.
  inner.verifyWebhook = (request, secret, scheme) => {
    try {
      const [key, how] = [inner.wellFormed(secret), inner.wellFormed(scheme)];
      if (ours.has(request)) return natives.verifyCurrent(key, how);
      const headers = Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), `${value}`]);
      return natives.verifyCopy(headers, inner.messageOf(request.rawBody), Date.parse(request.createdAt), key, how);
    } catch {
      return false;
    }
  };
};
