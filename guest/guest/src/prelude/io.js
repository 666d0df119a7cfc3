// io: questions and displays. Each is asked when it is awaited, alone or in a group, and its answer is looked at where
// it was asked.
(natives, inner) => {
  'use strict';
  const { keys } = Object;
  const { isArray } = Array;
  const IO = 0;

  // A part of a question that is being asked.
  class Part {
    constructor({ methodName, label, component, made, isOptional, isMultiple, multipleProps, validator, read }) {
      this.methodName = methodName;
      this.label = label;
      this.component = component;
      this.props = made.props;
      this.prepare = made.prepare;
      this.onState = made.onState;
      this.isPageable = made.isPageable === true;
      this.isOptional = isOptional;
      this.isMultiple = isMultiple;
      this.multipleProps = multipleProps;
      this.validator = validator;
      this.read = read;
      this.state = null;
      this.message = undefined;
      this.error = undefined;
      if (this.prepare === undefined) this.check();
    }
    check() {
      const { name, props } = this.component;
      this.sent = inner.parsedProps(props, this.props, `${name}(${JSON.stringify(this.label)})`);
    }
    // A person moved in it.
    async move(state) {
      const isTable = this.methodName.endsWith('_TABLE') || this.methodName.endsWith('_GRID');
      return await this.onState(isTable ? inner.positionOf(state) : state);
    }
    change(props) {
      this.props = { ...this.props, ...props };
      this.check();
    }
    render() {
      const { json, meta } = inner.pack(this.sent);
      return {
        __proto__: null,
        methodName: this.methodName,
        label: this.label,
        props: json,
        propsMeta: meta,
        isStateful: this.onState !== undefined,
        isOptional: this.isOptional,
        isMultiple: this.isMultiple,
        multipleProps: this.multipleProps && inner.jsonOf(this.multipleProps),
        validationErrorMessage: this.message,
      };
    }
    // What the wire has for an answer, as a value: nothing for what was left out.
    taken(value) {
      if (value === null || value === undefined) return this.methodName.startsWith('DISPLAY_') ? null : undefined;
      return typeof value === 'object' ? inner.withDates(value) : value;
    }
    async verdict(value) {
      if (this.validator === undefined) return undefined;
      if (value === undefined && !this.isOptional) return 'This field is required.';
      return messageOf(await this.validator(this.read(value)));
    }
  }

  const messageOf = (verdict) => (verdict === undefined || verdict === null || verdict === false || verdict === '' ? undefined : `${verdict}`);
  const buttonsOf = (choices) =>
    choices?.map((choice) => {
      if (typeof choice === 'string') return { label: choice, value: choice };
      return { label: `${choice.label}`, value: `${choice.value}`, theme: choice.theme };
    });

  const ONLY_SHOWS = 'a page only shows: what it shows stands in the children of its Layout, as io.display.table(…) does, and is not awaited. Ask in an action, and lead there with one of the menuItems';

  // Asks until an answer will do; gives `{values, choice}`, one value for each part. What a page shows is a question
  // that nobody answers: `layout` says what stands around it.
  const ask = async (parts, buttons, validator, layout) => {
    if (inner.isPage && layout === undefined) throw new TypeError(ONLY_SHOWS);
    for (const part of parts) if (part.prepare !== undefined) part.change(await part.prepare());
    return await new Promise((resolve, reject) => {
      let id;
      let message;
      let begun = 0;
      let applied = 0;
      const isShown = layout === undefined && !buttons?.length && parts.every(({ methodName }) => methodName.startsWith('DISPLAY_'));
      const judges = validator !== undefined || parts.some((part) => part.validator !== undefined);
      const stateful = parts.filter(({ onState }) => onState !== undefined);

      const payload = () => {
        const toRender = parts.map((part) => part.render());
        if (layout !== undefined) {
          const errors = [...layout.errors, ...parts.map(({ error }) => error).filter(Boolean)];
          return inner.textOf({ __proto__: null, ...layout, children: { __proto__: null, kind: 'RENDER', toRender }, errors });
        }
        const choiceButtons = buttons && inner.jsonOf(buttons);
        return inner.textOf({ __proto__: null, toRender, choiceButtons, validationErrorMessage: message });
      };
      const judge = async (values, choice) => {
        message = undefined;
        let isGood = true;
        for (let i = 0; i < parts.length; i++) {
          parts[i].message = await parts[i].verdict(values[i]);
          isGood &&= parts[i].message === undefined;
        }
        if (isGood && validator !== undefined) message = messageOf(await validator(values, choice));
        return isGood && message === undefined;
      };
      const settle = async (isOk, answer) => {
        if (!isOk) return reject(answer);
        const asked = id;
        try {
          const given = inner.unpack(answer.values, answer.valuesMeta);
          if (!isArray(given) || given.length !== parts.length) throw new Error('The answer has another length than the question.');
          const values = given.map((value, index) => parts[index].taken(value));
          const done = { values, choice: answer.choice };
          if (!judges) return resolve(done);
          const isGood = await judge(values, answer.choice);
          natives.judged(asked, () => {
            if (isGood) resolve(done);
            else id = natives.askAgain(asked, payload());
          });
        } catch (error) {
          if (judges) natives.judged(asked, () => reject(error));
          else reject(error);
        }
      };
      const stated = async (states) => {
        const turn = ++begun;
        let isOther = false;
        for (let i = 0; i < parts.length; i++) {
          const [part, state] = [parts[i], states?.[i]];
          if (part.onState === undefined || typeof state !== 'object' || state === null) continue;
          const text = JSON.stringify(state);
          if (text === part.state) continue;
          try {
            const props = await part.move(state);
            // Somebody who typed on has been answered already.
            if (turn < applied) continue;
            part.change(props);
            part.state = text;
            part.error = undefined;
            isOther = true;
          } catch (error) {
            if (layout !== undefined) {
              part.error = saidOf(part.label || 'children', error);
              isOther = true;
              continue;
            }
            console.warn(`${part.component.name}: the change was left aside:`, error);
          }
        }
        if (!isOther) return;
        applied = turn;
        natives.rendered(id, payload());
      };

      id = natives.called({
        kind: IO,
        method: parts.map(({ methodName }) => methodName).join('+'),
        label: parts.map(({ label }) => label).join(', ').toWellFormed(),
        payload: payload(),
        settle,
        start: undefined,
        stated: stateful.length > 0 ? stated : undefined,
        shown: isShown ? parts.length : undefined,
        judges: judges && !isShown,
        // A page is told where people are in all of its parts; a question only where they moved.
        isPageable: (layout !== undefined || stateful.length === 1) && stateful.every(({ isPageable }) => isPageable),
      });
    });
  };

  const same = (value) => value;

  // One question or display, not asked yet.
  class Single {
    #given;
    constructor(given) {
      this.#given = given;
    }
    static of(methodName, label, props) {
      const component = inner.components[methodName];
      const given = props ?? {};
      const made = component.make?.(given) ?? { props: given };
      const read = made.getValue ?? same;
      return {
        methodName,
        label: `${label ?? ''}`.toWellFormed(),
        component,
        made,
        isOptional: false,
        isMultiple: false,
        multipleProps: undefined,
        validator: undefined,
        getValue: read,
        read: (value) => (value === undefined ? undefined : read(value)),
      };
    }
    static given(single) {
      return single.#given;
    }
    static isSingle(value) {
      return typeof value === 'object' && value !== null && #given in value;
    }
    async #asked() {
      const part = new Part(this.#given);
      const { values } = await ask([part], undefined, undefined);
      return part.read(values[0]);
    }
    then(resolve, reject) {
      return this.#asked().then(resolve, reject);
    }
  }

  class Display extends Single {
    withChoices(choices) {
      return new Chosen(this, choices);
    }
  }

  class Exclusive extends Single {
    validate(validator) {
      Single.given(this).validator = validator;
      return this;
    }
  }

  class Input extends Single {
    validate(validator) {
      Single.given(this).validator = validator;
      return this;
    }
    optional(isOptional = true) {
      if (!isOptional) return this;
      return new this.constructor({ ...Single.given(this), isOptional: true });
    }
    withChoices(choices) {
      return new Chosen(this, choices);
    }
  }

  class Multipleable extends Input {
    multiple({ defaultValue } = {}) {
      const given = Single.given(this);
      const { getValue, made } = given;
      const read = (values) => (values === undefined ? undefined : (isArray(values) ? values : [values]).map((value) => getValue(value)));
      const getDefault = made.getDefault;
      const begun = getDefault ? defaultValue?.map((value) => getDefault(value)) : undefined;
      return new Multipleable({ ...given, isMultiple: true, multipleProps: { defaultValue: begun }, read });
    }
  }

  // One question with buttons of its own; gives `{choice, returnValue}`.
  class Chosen {
    #single;
    #buttons;
    #validator;
    constructor(single, choices) {
      this.#single = single;
      this.#buttons = buttonsOf(choices);
    }
    validate(validator) {
      Single.given(this.#single).validator = undefined;
      this.#validator = validator;
      return this;
    }
    optional(isOptional = true) {
      if (typeof this.#single.optional !== 'function') throw new TypeError('only an input can be optional');
      return new Chosen(this.#single.optional(isOptional), this.#buttons);
    }
    multiple(options) {
      if (typeof this.#single.multiple !== 'function') throw new TypeError('only a file or a search can be multiple');
      return new Chosen(this.#single.multiple(options), this.#buttons);
    }
    withChoices(choices) {
      return new Chosen(this.#single, choices);
    }
    async #asked() {
      const part = new Part(Single.given(this.#single));
      const validator = this.#validator;
      const judge = validator && (([value], choice) => {
        if (value === undefined && !part.isOptional && !part.methodName.startsWith('DISPLAY_')) return 'This field is required.';
        return validator({ choice, returnValue: part.read(value) });
      });
      const { values, choice } = await ask([part], this.#buttons, judge);
      return { choice, returnValue: part.read(values[0]) };
    }
    then(resolve, reject) {
      return this.#asked().then(resolve, reject);
    }
  }

  // Several at once, as an array or under names.
  class Group {
    #singles;
    #buttons;
    #validator;
    #isChosen = false;
    constructor(singles, buttons, isChosen = false) {
      this.#singles = singles;
      this.#buttons = buttons;
      this.#isChosen = isChosen;
    }
    validate(validator) {
      this.#validator = validator;
      return this;
    }
    withChoices(choices) {
      const group = new Group(this.#singles, buttonsOf(choices), true);
      const validator = this.#validator;
      if (validator !== undefined) group.#validator = this.#isChosen ? validator : ({ returnValue }) => validator(returnValue);
      return group;
    }
    async #asked() {
      const names = isArray(this.#singles) ? undefined : keys(this.#singles);
      const singles = names === undefined ? this.#singles : names.map((name) => this.#singles[name]);
      const parts = singles.map((single) => new Part(Single.given(single)));
      const read = (values) => {
        const all = values.map((value, index) => parts[index].read(value));
        return names === undefined ? all : Object.fromEntries(all.map((value, index) => [names[index], value]));
      };
      const validator = this.#validator;
      const judge = validator && ((values, choice) => {
        const returnValue = read(values);
        return validator(this.#isChosen ? { choice, returnValue } : returnValue);
      });
      const { values, choice } = await ask(parts, this.#buttons, judge);
      return this.#isChosen ? { choice, returnValue: read(values) } : read(values);
    }
    then(resolve, reject) {
      return this.#asked().then(resolve, reject);
    }
  }

  const group = (singles, { continueButton } = {}) => {
    if (typeof singles !== 'object' || singles === null) throw new TypeError('io.group takes an array or an object of questions');
    const all = isArray(singles) ? singles : keys(singles).map((name) => singles[name]);
    for (const single of all) {
      if (!Single.isSingle(single)) throw new TypeError('io.group holds something that is no question, or has choices of its own: give them to the group');
      if (single instanceof Exclusive) throw new TypeError(`${Single.given(single).component.name} stands alone, not in a group`);
    }
    const label = `${continueButton?.label ?? 'Continue'}`;
    const buttons = continueButton === undefined ? undefined : [{ label, value: label, theme: continueButton.theme }];
    return new Group(singles, buttons);
  };

  const method = (methodName) => {
    const { isExclusive, isMultipleable } = inner.components[methodName];
    const Kind = isExclusive ? Exclusive : isMultipleable ? Multipleable : methodName.startsWith('DISPLAY_') ? Display : Input;
    return (label, props) => new Kind(Single.of(methodName, label, props));
  };

  const saidOf = (layoutKey, error) => ({
    __proto__: null,
    layoutKey,
    error: `${error?.name ?? 'Error'}`.toWellFormed(),
    message: `${error?.message ?? error}`.toWellFormed(),
  });

  // What a page's handler returned, for as long as somebody looks. `states` says where they are in its parts already.
  inner.show = async (given, states) => {
    if (given === undefined || given === null) return undefined;
    if (typeof given !== 'object') throw new TypeError('a page returns new Layout({ title, description, menuItems, children }), or nothing');
    const { title, description, menuItems, children } = given;
    const layout = { kind: 'BASIC', errors: [] };
    const write = async (key, text) => {
      try {
        const written = await (typeof text === 'function' ? text() : text);
        if (written !== undefined && written !== null) layout[key] = `${written}`.toWellFormed();
      } catch (error) {
        layout.errors.push(saidOf(key, error));
      }
    };
    const written = [write('title', title), write('description', description)];
    if (menuItems !== undefined && menuItems !== null) {
      layout.menuItems = inner.jsonOf(inner.parsedProps({ menuItems: inner.menuItems }, { menuItems }, 'Layout').menuItems);
    }
    if (children !== undefined && children !== null && !isArray(children)) throw new TypeError('Layout: children must be an array');
    const parts = (children ?? []).map((child, index) => {
      if (!(child instanceof Display)) throw new TypeError(`Layout: children[${index}] is no io.display: ${ONLY_SHOWS}`);
      return new Part(Single.given(child));
    });
    for (const each of written) await each;
    for (const [index, part] of parts.entries()) {
      const state = states?.[index];
      if (part.onState === undefined || typeof state !== 'object' || state === null) continue;
      try {
        part.change(await part.move(state));
        part.state = JSON.stringify(state);
      } catch (error) {
        part.error = saidOf(part.label || 'children', error);
      }
    }
    return await ask(parts, undefined, undefined, layout);
  };

  // By the names in code: `io.input.text` is at `input.text`.
  inner.makeIo = () => {
    const io = { group };
    for (const methodName of keys(inner.components)) {
      const path = inner.components[methodName].name.split('.').slice(1);
      let holder = io;
      for (const name of path.slice(0, -1)) holder = holder[name] ??= {};
      holder[path[path.length - 1]] = method(methodName);
    }
    return io;
  };
};
