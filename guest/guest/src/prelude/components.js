// The parts that a question or a display is made of, in the shapes of @interval/sdk 2.0.0: what may be said of each,
// how its answer becomes what the author works with, and what it does when a person moves in it.
(natives, inner) => {
  'use strict';
  const { isArray } = Array;
  const { keys, hasOwn } = Object;

  // A check takes a value and its name, and gives the value as it is sent, or throws.
  const check = (what, holds) => (value, name) => {
    if (holds(value)) return value;
    throw new TypeError(`${name} must be ${what}`);
  };
  const maybe = (one) => (value, name) => (value === undefined || value === null ? undefined : one(value, name));
  const otherwise = (one, given) => (value, name) => (value === undefined || value === null ? given : one(value, name));
  const text = check('text', (value) => typeof value === 'string');
  const number = check('a number', (value) => typeof value === 'number' && Number.isFinite(value));
  const whole = check('a whole number', (value) => Number.isSafeInteger(value) && value >= 0);
  const count = check('a whole number above 0', (value) => Number.isSafeInteger(value) && value > 0);
  const flag = check('true or false', (value) => typeof value === 'boolean');
  const anything = (value) => value;
  const oneOf = (...allowed) => check(`one of ${allowed.map((one) => JSON.stringify(one)).join(', ')}`, (value) => allowed.includes(value));
  const object = check('an object', (value) => typeof value === 'object' && value !== null && !isArray(value));
  const listOf = (one) => (value, name) => {
    if (!isArray(value)) throw new TypeError(`${name} must be an array`);
    return value.map((item, index) => one(item, `${name}[${index}]`));
  };
  const record = (checks) => (value, name) => parsed(checks, object(value, name), name);
  const primitive = check(
    'text, a number, true, false or a Date',
    (value) => ['string', 'number', 'boolean'].includes(typeof value) || value instanceof Date,
  );

  const parsed = (checks, props, name) => {
    const made = {};
    for (const key of keys(checks)) {
      const value = checks[key](props[key], `${name}: ${key}`);
      if (value !== undefined) made[key] = value;
    }
    return made;
  };

  const size = oneOf('thumbnail', 'small', 'medium', 'large');
  const image = record({ alt: maybe(text), size: maybe(size), width: maybe(size), height: maybe(size), url: text });
  const day = { year: number, month: number, day: number };
  const clock = { hour: number, minute: number };
  const link = { url: maybe(text), route: maybe(text), action: maybe(text), href: maybe(text), params: maybe(object) };
  const button = (themes) => record({ label: text, theme: maybe(oneOf(...themes)), disabled: maybe(flag), ...link });
  const menu = maybe(listOf(button(['default', 'danger'])));
  const BUTTONS = ['default', 'primary', 'secondary', 'danger'];
  const menuItems = maybe(listOf(button(BUTTONS)));
  const option = { label: primitive, value: primitive };
  const richOption = record({ ...option, description: maybe(text), imageUrl: maybe(text), image: maybe(image) });
  const plainOption = record(option);
  const input = { helpText: maybe(text), disabled: maybe(flag) };
  const placed = { ...input, placeholder: maybe(text), defaultValue: maybe(text) };
  const columns = listOf(record({ label: text, accessorKey: maybe(text) }));
  const rows = listOf(record({ key: text, data: object, menu }));
  const item = record({
    label: maybe(text),
    title: maybe(text),
    description: maybe(text),
    image: maybe(record({ url: maybe(text), alt: maybe(text), fit: maybe(oneOf('cover', 'contain')), aspectRatio: maybe(number) })),
    menu,
    url: maybe(text),
    route: maybe(text),
    params: maybe(object),
  });
  const table = { helpText: maybe(text), columns, data: rows, defaultPageSize: maybe(count), totalRecords: maybe(whole) };

  const dateOf = (value) =>
    value instanceof Date ? { year: value.getFullYear(), month: value.getMonth() + 1, day: value.getDate() } : value;
  const datetimeOf = (value) =>
    value instanceof Date ? { ...dateOf(value), hour: value.getHours(), minute: value.getMinutes() } : value;
  const dated = (of) => (props) => ({
    props: { ...props, defaultValue: of(props.defaultValue), min: of(props.min), max: of(props.max) },
    getValue: (answer) => ({
      ...answer,
      jsDate: new Date(answer.year, answer.month - 1, answer.day, answer.hour ?? 0, answer.minute ?? 0, 0, 0),
    }),
  });

  const optionOf = (given) =>
    ['string', 'number', 'boolean'].includes(typeof given) || given instanceof Date ? { label: given, value: given } : given;
  const sameness = (value) => (value instanceof Date ? `date:${value.valueOf()}` : `${typeof value}:${value}`);
  const optionsOf = ({ options }, name) => {
    if (!isArray(options)) throw new TypeError(`${name}: options must be an array`);
    const made = options.map(optionOf);
    return [made, new Map(made.map((one, index) => [sameness(one?.value), options[index]]))];
  };

  const single = (props) => {
    const [options, originals] = optionsOf(props, 'io.select.single');
    let defaultValue = props.defaultValue === undefined || props.defaultValue === null ? undefined : optionOf(props.defaultValue);
    if (defaultValue !== undefined && !originals.has(sameness(defaultValue.value))) {
      console.warn('io.select.single: the defaultValue is none of the options, and is left out.');
      defaultValue = undefined;
    }
    return { props: { ...props, options, defaultValue }, getValue: (answer) => originals.get(sameness(answer.value)) };
  };

  const multiple = (props) => {
    const [options, originals] = optionsOf(props, 'io.select.multiple');
    const defaultValue = (props.defaultValue ?? []).map(optionOf).filter((one) => originals.has(sameness(one?.value)));
    return {
      props: { ...props, options, defaultValue },
      getValue: (answer) => answer.map((one) => originals.get(sameness(one.value))),
    };
  };

  const search = ({ onSearch, initialResults = [], defaultValue, renderResult, ...rest }) => {
    if (typeof onSearch !== 'function') throw new TypeError('io.search: onSearch must be a function');
    if (typeof renderResult !== 'function') throw new TypeError('io.search: renderResult must be a function');
    const batches = new Map([['0', initialResults], ['default', []]]);
    let last = 0;
    const shown = (result, value) => {
      const rendered = renderResult(result);
      if (typeof rendered === 'object' && rendered !== null && !(rendered instanceof Date)) return { ...rendered, value };
      return { value, label: `${rendered}` };
    };
    const results = initialResults.map((result, index) => shown(result, `0:${index}`));
    const getDefault = (result) => {
      const batch = batches.get('default');
      const value = `default:${batch.length}`;
      batch.push(result);
      results.push(shown(result, value));
      return value;
    };
    const begin = defaultValue === undefined || defaultValue === null ? undefined : getDefault(defaultValue);
    return {
      props: { ...rest, defaultValue: begin, results },
      getDefault,
      getValue: (answer) => {
        const [batch, index] = `${answer}`.split(':');
        const chosen = batches.get(batch);
        if (chosen === undefined || !hasOwn(chosen, Number(index))) throw inner.errorOf('IOError', 'Received invalid response.');
        return chosen[index];
      },
      onState: async ({ queryTerm }) => {
        const number = `${++last}`;
        const found = await onSearch(`${queryTerm ?? ''}`);
        batches.set(number, found);
        return { results: found.map((result, index) => shown(result, `${number}:${index}`)) };
      },
    };
  };

  const file = ({ generatePresignedUrls, ...props }) => ({
    props: { ...props, fileUrls: generatePresignedUrls ? null : undefined },
    getValue: ({ url, ...answer }) => {
      const fetched = () => inner.fetch(url);
      return {
        ...answer,
        lastModified: new Date(answer.lastModified),
        get extension() {
          return /[^.](\.[^.]*)$/.exec(answer.name)?.[1] ?? '';
        },
        url: async () => url,
        text: async () => (await fetched()).text(),
        json: async () => (await fetched()).json(),
        buffer: async () => (await fetched()).bytes(),
      };
    },
    onState: async ({ files }) => {
      if (!generatePresignedUrls || !isArray(files)) return { fileUrls: undefined };
      const urls = [];
      for (const one of files) urls.push(await generatePresignedUrls(one));
      return { fileUrls: urls };
    },
  });

  const sized = ({ size: both, buffer, ...props }, url) => {
    const made = { ...props, width: both ?? props.width, height: both ?? props.height };
    return { props: buffer === undefined ? made : { ...made, url: url(buffer) } };
  };
  const videoUrlOf = (buffer) =>
    inner.dataUrlOf(buffer, { A: 'video/mp4', G: 'video/webm', T: 'video/ogg', U: 'video/avi' }, 'video/mp4');

  // What is not there yet is waited for, so that what is shown can be kept.
  const metadata = ({ data, layout }) => {
    if (!isArray(data)) throw new TypeError('io.display.metadata: data must be an array');
    const PARTS = ['value', 'url', 'image', 'route', 'action', 'params'];
    const begun = data.map((given) => {
      const made = { ...given };
      for (const part of PARTS) if (typeof made[part] === 'function') made[part] = made[part]();
      return made;
    });
    const isPromise = (value) => typeof value === 'object' && value !== null && typeof value.then === 'function';
    const isLate = begun.some((made) => PARTS.some((part) => isPromise(made[part])));
    const settled = async () => {
      for (const made of begun) {
        for (const part of PARTS) {
          if (!isPromise(made[part])) continue;
          try {
            made[part] = await made[part];
          } catch (error) {
            made[part] = undefined;
            made.error = `${error?.message ?? error}`;
          }
        }
      }
      return { data: begun, layout };
    };
    return { props: { data: begun, layout }, prepare: isLate ? settled : undefined };
  };
  const metaItem = record({
    label: text,
    value: check('text, a number, true, false, a BigInt or a Date', (value) =>
      value === undefined || value === null || ['string', 'number', 'boolean', 'bigint'].includes(typeof value) || value instanceof Date,
    ),
    url: maybe(text),
    image: maybe(image),
    route: maybe(text),
    action: maybe(text),
    params: maybe(object),
    error: maybe(text),
  });

  const CELLS = oneOf('string', 'string?', 'number', 'number?', 'boolean', 'boolean?');
  const cells = (value, name) => {
    for (const key of keys(object(value, name))) CELLS(value[key], `${name}.${key}`);
    return value;
  };

  // By the method's name on the wire: what it is called in code, what may be said of it, and the rest.
  inner.components = {
    INPUT_TEXT: {
      name: 'io.input.text',
      props: { ...placed, multiline: maybe(flag), lines: maybe(number), minLength: maybe(count), maxLength: maybe(count) },
    },
    INPUT_EMAIL: { name: 'io.input.email', props: placed },
    INPUT_NUMBER: {
      name: 'io.input.number',
      props: {
        ...input,
        min: maybe(number),
        max: maybe(number),
        prepend: maybe(text),
        placeholder: maybe(text),
        defaultValue: maybe(number),
        decimals: maybe(count),
        currency: maybe(oneOf('USD', 'CAD', 'EUR', 'GBP', 'AUD', 'CNY', 'JPY')),
      },
    },
    INPUT_SLIDER: {
      name: 'io.input.slider',
      props: { ...input, min: number, max: number, step: maybe(number), defaultValue: maybe(number) },
    },
    INPUT_BOOLEAN: { name: 'io.input.boolean', props: { ...input, defaultValue: otherwise(flag, false) } },
    INPUT_URL: {
      name: 'io.input.url',
      props: { ...placed, allowedProtocols: otherwise(listOf(text), ['http', 'https']) },
      make: (props) => ({ props, getValue: (answer) => new inner.URL(answer) }),
    },
    INPUT_RICH_TEXT: { name: 'io.input.richText', props: placed },
    INPUT_DATE: {
      name: 'io.input.date',
      props: { ...input, defaultValue: maybe(record(day)), min: maybe(record(day)), max: maybe(record(day)) },
      make: dated(dateOf),
    },
    INPUT_TIME: {
      name: 'io.input.time',
      props: { ...input, defaultValue: maybe(record(clock)), min: maybe(record(clock)), max: maybe(record(clock)) },
    },
    INPUT_DATETIME: {
      name: 'io.input.datetime',
      props: {
        ...input,
        defaultValue: maybe(record({ ...day, ...clock })),
        min: maybe(record({ ...day, ...clock })),
        max: maybe(record({ ...day, ...clock })),
      },
      make: dated(datetimeOf),
    },
    UPLOAD_FILE: {
      name: 'io.input.file',
      props: { ...input, allowedExtensions: maybe(listOf(text)), fileUrls: anything },
      make: file,
      isMultipleable: true,
    },
    SELECT_SINGLE: {
      name: 'io.select.single',
      props: { ...input, options: listOf(richOption), defaultValue: maybe(richOption), searchable: maybe(flag) },
      make: single,
    },
    SELECT_MULTIPLE: {
      name: 'io.select.multiple',
      props: {
        ...input,
        options: listOf(plainOption),
        defaultValue: otherwise(listOf(plainOption), []),
        minSelections: maybe(whole),
        maxSelections: maybe(count),
      },
      make: multiple,
    },
    SELECT_TABLE: {
      name: 'io.select.table',
      props: {
        ...table,
        disabled: maybe(flag),
        isSortable: otherwise(flag, true),
        isFilterable: otherwise(flag, true),
        minSelections: maybe(whole),
        maxSelections: maybe(count),
        selectedKeys: listOf(text),
      },
      make: (props) => inner.selectTable({ ...props, data: listOf(object)(props.data, 'io.select.table: data') }),
    },
    SEARCH: {
      name: 'io.search',
      props: {
        ...placed,
        results: listOf(record({ value: text, label: primitive, description: maybe(text), imageUrl: maybe(text), image: maybe(image) })),
      },
      make: search,
      isMultipleable: true,
    },
    CONFIRM: { name: 'io.confirm', props: { helpText: maybe(text) }, isExclusive: true },
    CONFIRM_IDENTITY: { name: 'io.confirmIdentity', props: { gracePeriodMs: maybe(number) }, isExclusive: true },
    INPUT_SPREADSHEET: {
      name: 'io.experimental.spreadsheet',
      props: { helpText: maybe(text), defaultValue: maybe(listOf(object)), columns: cells },
    },
    DISPLAY_HEADING: {
      name: 'io.display.heading',
      props: { level: maybe(oneOf(2, 3, 4)), description: maybe(text), menuItems },
    },
    DISPLAY_MARKDOWN: { name: 'io.display.markdown', props: {} },
    DISPLAY_HTML: { name: 'io.display.html', props: { html: text } },
    DISPLAY_CODE: { name: 'io.display.code', props: { code: text, language: maybe(text) } },
    DISPLAY_IMAGE: {
      name: 'io.display.image',
      props: { alt: maybe(text), width: maybe(size), height: maybe(size), url: text },
      make: (props) => sized(props, inner.imageUrlOf),
    },
    DISPLAY_VIDEO: {
      name: 'io.display.video',
      props: { width: maybe(size), height: maybe(size), url: text, loop: maybe(flag), muted: maybe(flag) },
      make: (props) => sized(props, videoUrlOf),
    },
    DISPLAY_LINK: { name: 'io.display.link', props: { theme: maybe(oneOf(...BUTTONS)), ...link } },
    DISPLAY_OBJECT: { name: 'io.display.object', props: { data: anything } },
    DISPLAY_METADATA: {
      name: 'io.display.metadata',
      props: { data: listOf(metaItem), layout: otherwise(oneOf('grid', 'list', 'card'), 'grid') },
      make: metadata,
    },
    DISPLAY_TABLE: {
      name: 'io.display.table',
      props: {
        ...table,
        orientation: otherwise(oneOf('vertical', 'horizontal'), 'horizontal'),
        isSortable: otherwise(flag, true),
        isFilterable: otherwise(flag, true),
        isAsync: maybe(flag),
      },
      make: inner.displayTable,
    },
    DISPLAY_GRID: {
      name: 'io.display.grid',
      props: {
        data: listOf(record({ key: text, data: item })),
        idealColumnWidth: maybe(number),
        defaultPageSize: maybe(number),
        helpText: maybe(text),
        isFilterable: otherwise(flag, true),
        totalRecords: maybe(whole),
        isAsync: maybe(flag),
      },
      make: inner.displayGrid,
    },
  };
  inner.parsedProps = parsed;
  inner.menuItems = menuItems;
};
