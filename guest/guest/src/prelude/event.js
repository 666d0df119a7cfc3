// A request as a CloudEvent (https://cloudevents.io, 1.0): as it says itself, or as we would put it.
(natives, inner) => {
  'use strict';

  // Structured mode: the body is the event. Binary mode: headers `ce-*` are its attributes, the body its data.
  // Otherwise the event is made up from the request: it came from the path, and what happened was an HTTP request.
  inner.eventOf = (request) => {
    const mediaType = request.contentType.split(';')[0].trim().toLowerCase();
    const { headers, body } = request;
    if (mediaType === 'application/cloudevents+json' && typeof body === 'object' && body !== null) return body;
    const event = headers['ce-specversion'] === undefined ? synthesised(request) : binary(headers);
    if (request.contentType !== '') event.datacontenttype = request.contentType;
    if (body !== null) event.data = body;
    return event;
  };

  const synthesised = ({ id, path, method, createdAt }) => ({
    specversion: '1.0',
    id,
    source: path,
    type: `http.request.${method.toLowerCase()}`,
    time: createdAt,
  });

  const binary = (headers) => {
    const event = {};
    for (const name of Object.keys(headers)) {
      if (name.startsWith('ce-')) event[name.slice('ce-'.length)] = natives.percentDecode(unquoted(headers[name]));
    }
    return event;
  };

  // A quoted string of RFC 9110 stands for what is inside of it.
  const unquoted = (value) => (/^"(?:[^"\\]|\\.)*"$/.test(value) ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value);
};
