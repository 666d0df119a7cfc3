// TextEncoder and TextDecoder, and how octets cross into Rust.
(natives, inner) => {
  'use strict';
  const isView = ArrayBuffer.isView;

  // WebIDL's USVString: halves of characters become U+FFFD.
  const wellFormed = (value) => `${value}`.toWellFormed();

  // The bytes of a buffer or of any view on one; undefined for anything else.
  const octetsOf = (value) => {
    if (value instanceof Uint8Array) return value;
    if (isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    return undefined;
  };

  inner.wellFormed = wellFormed;
  inner.octetsOf = octetsOf;
  // A string or octets, as hashes take them.
  inner.messageOf = (value) => {
    if (typeof value === 'string') return value.toWellFormed();
    const octets = octetsOf(value);
    if (octets === undefined) throw new TypeError('a string, a Uint8Array or an ArrayBuffer is wanted here');
    return octets;
  };

  inner.TextEncoder = class TextEncoder {
    get encoding() {
      return 'utf-8';
    }
    encode(text = '') {
      return natives.encode(wellFormed(text));
    }
    encodeInto(text, target) {
      let read = 0;
      let written = 0;
      for (const character of wellFormed(text)) {
        const bytes = natives.encode(character);
        if (written + bytes.length > target.length) break;
        target.set(bytes, written);
        written += bytes.length;
        read += character.length;
      }
      return { read, written };
    }
  };

  const LABELS = {
    'utf-8': ['utf-8', 'utf8', 'unicode-1-1-utf-8'],
    'utf-16le': ['utf-16le', 'utf-16', 'ucs-2', 'unicode'],
    // On the web these all mean windows-1252.
    'windows-1252': ['latin1', 'iso-8859-1', 'windows-1252', 'ascii', 'us-ascii', 'l1', 'cp1252', 'iso8859-1'],
  };
  const encodingOf = (label) => {
    const wanted = `${label}`.trim().toLowerCase();
    for (const encoding of Object.keys(LABELS)) if (LABELS[encoding].includes(wanted)) return encoding;
    throw new RangeError(`TextDecoder does not know the encoding "${wanted}": it knows utf-8, utf-16le and latin1`);
  };

  inner.TextDecoder = class TextDecoder {
    #encoding;
    #fatal;
    #ignoreBOM;
    #kept = new Uint8Array(0);
    #isBegun = false;
    constructor(label = 'utf-8', options = {}) {
      this.#encoding = encodingOf(label);
      this.#fatal = Boolean(options?.fatal);
      this.#ignoreBOM = Boolean(options?.ignoreBOM);
    }
    get encoding() {
      return this.#encoding;
    }
    get fatal() {
      return this.#fatal;
    }
    get ignoreBOM() {
      return this.#ignoreBOM;
    }
    decode(input = new Uint8Array(0), options = {}) {
      const fresh = octetsOf(input);
      if (fresh === undefined) throw new TypeError('decode wants an ArrayBuffer or a view on one');
      const streaming = Boolean(options?.stream);
      const bytes = new Uint8Array(this.#kept.length + fresh.length);
      bytes.set(this.#kept);
      bytes.set(fresh, this.#kept.length);
      let [text, left] = natives.decode(bytes, this.#encoding, this.#fatal, streaming);
      this.#kept = bytes.slice(bytes.length - left);
      if (!this.#isBegun && text !== '') {
        this.#isBegun = true;
        if (!this.#ignoreBOM && this.#encoding !== 'windows-1252' && text.charCodeAt(0) === 0xfeff) {
          text = text.slice(1);
        }
      }
      if (!streaming) this.#isBegun = false;
      return text;
    }
  };
};
