/** The one live value: JSON as a tree that stays open where it was, marks what changed, and can be searched. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import type { Json } from "../api/types.ts";
import { CopyButton } from "./copy.tsx";
import { Field } from "./field.tsx";
import { Icon } from "./icon.tsx";
import { brief, CHILDREN_SHOWN, found, type Line, lines, wordsOf } from "./json.ts";
import style from "./live_value.module.css";

const LINE_PX = 24;
/** So deep it is open from the beginning. */
const OPEN_DEPTH = 2;

interface Props {
  label: string;
  value: Json;
  root?: string;
  isSearchable?: boolean;
  /** As high as its lines, up to a bound, instead of as high as there is room. */
  isCompact?: boolean;
}

export function LiveValue({ label, value, root = "state", isSearchable = false, isCompact = false }: Props) {
  const [words, setWords] = useState("");
  const sought = useDeferredValue(words.trim());
  const [turned, setTurned] = useState<ReadonlySet<string>>(new Set());
  const [shown, setShown] = useState<ReadonlyMap<string, number>>(new Map());
  const all = useMemo(() => {
    if (sought) return found(value, sought);
    const isOpen = (pointer: string, depth: number) => depth < OPEN_DEPTH !== turned.has(pointer);
    return lines(value, isOpen, new Map(shown));
  }, [value, sought, turned, shown]);
  const turn = (pointer: string) =>
    setTurned((turned) => {
      const next = new Set(turned);
      if (!next.delete(pointer)) next.add(pointer);
      return next;
    });
  const more = (pointer: string) =>
    setShown((shown) => new Map(shown).set(pointer, (shown.get(pointer) ?? CHILDREN_SHOWN) * 5));
  return (
    <div className={`${style.value} ${isCompact ? style.compact : ""}`}>
      {isSearchable && (
        <div className={style.search}>
          <Field
            label={`Search in ${label.toLowerCase()}`}
            isLabelUnseen
            type="search"
            placeholder="Search names and values"
            value={words}
            onChange={(event) => setWords(event.target.value)}
          />
        </div>
      )}
      {sought && all.length === 0 ? (
        <p className={style.none}>No results found for ‘{sought}’.</p>
      ) : (
        <Tree label={label} lines={all} root={root} isFlat={sought !== ""} onTurn={turn} onMore={more} />
      )}
    </div>
  );
}

interface TreeProps {
  label: string;
  lines: Line[];
  root: string;
  isFlat: boolean;
  onTurn: (pointer: string) => void;
  onMore: (pointer: string) => void;
}

function Tree({ label, lines, root, isFlat, onTurn, onMore }: TreeProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [current, setCurrent] = useState(0);
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_PX,
    overscan: 20,
  });
  const onKey = (event: KeyboardEvent) => {
    const line = lines[current];
    if (!line || event.target !== event.currentTarget) return;
    const go = (to: number) => {
      const next = Math.max(0, Math.min(lines.length - 1, to));
      setCurrent(next);
      rows.scrollToIndex(next);
    };
    const parent = lines.findLastIndex(({ depth }, index) => index < current && depth < line.depth);
    const acts: Record<string, () => void> = {
      ArrowDown: () => go(current + 1),
      ArrowUp: () => go(current - 1),
      Home: () => go(0),
      End: () => go(lines.length - 1),
      ArrowRight: () => (line.size && !line.isOpen ? onTurn(line.pointer) : go(current + 1)),
      ArrowLeft: () => (line.isOpen ? onTurn(line.pointer) : go(parent)),
      Enter: () => (line.more ? onMore(line.pointer) : line.size && onTurn(line.pointer)),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  const idOf = (index: number) => `${label}-${index}`.replaceAll(" ", "-");
  return (
    <div
      ref={scroller}
      className={style.scroller}
      role="tree"
      aria-label={label}
      tabIndex={0}
      aria-activedescendant={lines[current] ? idOf(current) : undefined}
      onKeyDown={onKey}
    >
      <div role="presentation" className={style.lines} style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map(({ index, start }) => {
          const line = lines[index];
          if (!line) return null;
          return (
            <div
              key={line.more ? `${line.pointer}…` : line.pointer}
              id={idOf(index)}
              role="treeitem"
              tabIndex={-1}
              aria-level={line.depth + 1}
              aria-expanded={line.size ? line.isOpen : undefined}
              aria-selected={index === current}
              className={style.line}
              style={{ transform: `translateY(${start}px)`, paddingInlineStart: `${0.75 + line.depth * 1.1}rem` }}
              onClick={() => {
                setCurrent(index);
                if (line.more) onMore(line.pointer);
                else if (line.size && !isFlat) onTurn(line.pointer);
              }}
            >
              <Words line={line} root={root} isFlat={isFlat} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Words({ line, root, isFlat }: { line: Line; root: string; isFlat: boolean }) {
  if (line.more) return <span className={style.more}>{line.more} more, show them</span>;
  const name = isFlat ? wordsOf(line.path, root) : line.name;
  return (
    <>
      <span className={style.turner}>
        {line.size !== undefined && line.size > 0 && !isFlat && <Icon name={line.isOpen ? "down" : "right"} />}
      </span>
      {name !== undefined && <span className={typeof line.name === "number" ? style.index : style.name}>{name}</span>}
      {name !== undefined && <span className={style.colon}>: </span>}
      <Value line={line} />
      <span className={style.copy}>
        <CopyButton text={wordsOf(line.path, root)} label={`Copy path ${wordsOf(line.path, root)}`} />
      </span>
    </>
  );
}

function Value({ line }: { line: Line }) {
  const { value, size } = line;
  const text = brief(value);
  const [isNew, setNew] = useState(false);
  const before = useRef(text);
  useEffect(() => {
    if (before.current === text) return;
    before.current = text;
    setNew(true);
    const timer = setTimeout(() => setNew(false), 900);
    return () => clearTimeout(timer);
  }, [text]);
  const flash = isNew ? ` ${style.fresh}` : "";
  if (size === undefined) return <span className={`${style[kindOf(value)]}${flash}`}>{text}</span>;
  const [open, close, what] = Array.isArray(value) ? ["[", "]", "item"] : ["{", "}", "key"];
  if (size === 0) return <span className={style.brace}>{open + close}</span>;
  if (line.isOpen) return <span className={style.size}>{`${size} ${what}${size === 1 ? "" : "s"}`}</span>;
  return <span className={style.folded + flash}>{text}</span>;
}

function kindOf(value: Json): "string" | "number" | "word" {
  return typeof value === "string" ? "string" : typeof value === "number" ? "number" : "word";
}

/** Not live: shown once, as it was then. */
export function Still({ label, value, root = "state" }: { label: string; value: Json; root?: string }) {
  return <LiveValue label={label} value={value} root={root} isCompact />;
}
