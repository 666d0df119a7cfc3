// A state as a tree that follows its hook. Whatever a state holds is put in as text, never as HTML.
"use strict";

/** Entries of one object or list that are shown before more are asked for. */
const SHOWN_MAX = 100;
/** How deep, and up to how many entries, a tree is open at first. */
const OPEN_DEPTH = 3, OPEN_ENTRIES = 30;
/** How long to wait before a server that does not answer is asked again. */
const RETRY_MS = 3000;

const make = (tag, kind, text = "") => {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  element.textContent = text;
  return element;
};
const kindOf = value => value === null ? "null" : Array.isArray(value) ? "list" : typeof value;
const counted = (n, one, many) => n === 1 ? `1 ${one}` : `${n.toLocaleString("en")} ${many}`;

function flash(element) {
  element.classList.remove("news");
  requestAnimationFrame(() => element.classList.add("news"));
}

/** A row of the tree; `show` brings it up to date and leaves what did not change alone. */
function row(name, depth) {
  const element = make("li");
  let kind;
  let show;
  return {
    element,
    show(value, isNews) {
      if (kindOf(value) !== kind) {
        kind = kindOf(value);
        element.replaceChildren();
        show = (kind === "object" || kind === "list" ? branch : leaf)(element, name, kind, depth);
      }
      show(value, isNews);
    },
  };
}

function label(name) {
  return name === undefined ? "" : make("span", "name", `${name}: `);
}

function leaf(element, name, kind) {
  const value = make("span", `value ${kind}`);
  element.append(label(name), value);
  return (next, isNews) => {
    const text = JSON.stringify(next);
    if (value.textContent === text) return;
    value.textContent = text;
    if (isNews) flash(value);
  };
}

function branch(element, name, kind, depth) {
  const details = make("details"), summary = make("summary"), count = make("span", "count"), list = make("ul");
  const more = make("button", "", "more");
  const rows = new Map();
  let value, shownMax = SHOWN_MAX, isFirst = true;
  summary.append(label(name), count);
  details.append(summary, list);
  element.append(details);

  const fill = isNews => {
    const names = Object.keys(value).slice(0, shownMax);
    const known = new Set(names);
    for (const [name, old] of rows) {
      if (!known.has(name)) { old.element.remove(); rows.delete(name); }
    }
    names.forEach((name, index) => {
      let entry = rows.get(name);
      if (!entry) rows.set(name, entry = row(name, depth + 1));
      entry.show(value[name], isNews);
      if (list.children[index] !== entry.element) list.insertBefore(entry.element, list.children[index] ?? null);
    });
    const left = Object.keys(value).length - names.length;
    more.textContent = `${counted(left, "more", "more")}…`;
    if (left > 0) list.append(more); else more.remove();
  };
  details.addEventListener("toggle", () => details.open ? fill(false) : undefined);
  more.addEventListener("click", () => { shownMax += SHOWN_MAX; fill(false); });

  return (next, isNews) => {
    value = next;
    const length = Object.keys(value).length;
    const text = kind === "list" ? counted(length, "item", "items") : counted(length, "entry", "entries");
    if (count.textContent !== text && !isFirst && isNews) flash(count);
    count.textContent = text;
    if (isFirst) details.open = depth === 0 || depth < OPEN_DEPTH && length <= OPEN_ENTRIES;
    if (details.open) fill(isNews && !isFirst);
    isFirst = false;
  };
}

const state = document.querySelector("#state"), seq = document.querySelector("#seq");
const connection = document.querySelector("#connection");
const root = row(undefined, 0);
const tree = make("ul");
tree.append(root.element);
root.show(JSON.parse(state.textContent), false);
state.replaceChildren(tree);

function say(word, sentence) {
  document.documentElement.dataset.connection = word;
  if (connection.textContent !== sentence) connection.textContent = sentence;
}

function follow() {
  const source = new EventSource(location.href);
  source.addEventListener("open", () => say("live", "Live"));
  source.addEventListener("state", event => {
    root.show(JSON.parse(event.data), true);
    seq.textContent = event.lastEventId === "0" ? "before the first request" : `after request ${event.lastEventId}`;
  });
  source.addEventListener("error", async () => {
    say("lost", "Connection lost, reconnecting");
    if (source.readyState !== EventSource.CLOSED) return;
    // A stream does not say why it was refused.
    const reply = await fetch(location.href, { headers: { accept: "application/json" } }).catch(() => undefined);
    if (reply?.status === 404) return say("ended", "Ended: the key was paused or revoked");
    setTimeout(follow, RETRY_MS);
  });
}

if (document.documentElement.dataset.follow === "live") {
  say("lost", "Connecting");
  follow();
}
