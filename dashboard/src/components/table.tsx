/** The one table: a few rows or millions, of which only those in sight exist. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, type KeyboardEvent, type ReactNode, useEffect, useLayoutEffect, useRef } from "react";
import style from "./table.module.css";

const ROW_PX = 34;
const OVERSCAN = 16;

export interface Column<Row> {
  name: string;
  /** A track of the grid: `6rem`, `minmax(8rem, 1fr)`. */
  width: string;
  cell: (row: Row) => ReactNode;
  /** What a narrow screen can do without. */
  isWide?: boolean;
  /** The heading is for screen readers alone. */
  isNameUnseen?: boolean;
}

interface Props<Row> {
  label: string;
  columns: Column<Row>[];
  count: number;
  /** `undefined` while it is not there yet. */
  row: (index: number) => Row | undefined;
  /** What a row is told by where rows move; its place, where none does. */
  rowKey?: (index: number) => number;
  onOpen?: (row: Row, index: number) => void;
  isOpened?: (row: Row) => boolean;
  /** Which rows are in sight: their neighbours are worth having. */
  onSight?: (first: number, last: number) => void;
  /** A line that stays above the rows, told of the first one in sight. */
  line?: (first: Row) => ReactNode;
  /** New rows come at the top: what a person looks at stays where it is. */
  growsAtTop?: boolean;
  rowHeight?: number;
  /** The row to bring into sight. */
  shown?: number | undefined;
}

export function Table<Row>(props: Props<Row>) {
  const {
    label,
    columns,
    count,
    row,
    rowKey,
    onOpen,
    isOpened,
    onSight,
    line,
    growsAtTop,
    rowHeight = ROW_PX,
    shown,
  } = props;
  const scroller = useRef<HTMLDivElement>(null);
  // Rows may move while somebody clicks: what was pressed is opened, not what has come to lie there.
  const pressed = useRef<() => void>(undefined);
  const rows = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: OVERSCAN,
  });
  const items = rows.getVirtualItems();
  const [first, last] = [items[0]?.index ?? 0, items.at(-1)?.index ?? 0];
  useEffect(() => onSight?.(first, last), [onSight, first, last]);
  useStill(scroller, count, rowHeight, growsAtTop ?? false);
  useEffect(() => {
    if (shown !== undefined && shown >= 0) rows.scrollToIndex(shown, { align: "center" });
  }, [shown, rows]);

  const top = Math.floor((rows.scrollOffset ?? 0) / rowHeight);
  const atTop = line && count > 0 ? row(Math.min(top, count - 1)) : undefined;
  const tracks = columns.map(({ width }) => width).join(" ");
  const narrow = columns.filter(({ isWide }) => !isWide).map(({ width }) => width);
  const tableStyle = { "--tracks": tracks, "--tracks-narrow": narrow.join(" "), "--row": `${rowHeight}px` };
  return (
    <div ref={scroller} className={style.scroller}>
      <div
        role="table"
        aria-label={label}
        aria-rowcount={count + 1}
        className={style.table}
        style={tableStyle as CSSProperties}
      >
        <div role="rowgroup" className={style.head}>
          <div role="row" aria-rowindex={1} className={style.row}>
            {columns.map(({ name, isWide, isNameUnseen }) => (
              <div key={name} role="columnheader" className={isWide ? style.wide : undefined}>
                <span className={isNameUnseen ? "unseen" : undefined}>{name}</span>
              </div>
            ))}
          </div>
        </div>
        {atTop !== undefined && <div className={style.line}>{line?.(atTop)}</div>}
        <div
          role="rowgroup"
          className={style.body}
          style={{ height: rows.getTotalSize() }}
          onPointerDownCapture={() => {
            pressed.current = undefined;
          }}
          onClick={() => {
            pressed.current?.();
            pressed.current = undefined;
          }}
        >
          {items.map(({ index, start }) => {
            const value = row(index);
            const open = value !== undefined && onOpen ? () => onOpen(value, index) : undefined;
            return (
              <div
                key={rowKey ? rowKey(index) : index}
                role="row"
                aria-rowindex={index + 2}
                aria-current={value !== undefined && isOpened?.(value) ? "true" : undefined}
                className={[style.row, style.placed, open && style.opens].filter(Boolean).join(" ")}
                style={{ transform: `translateY(${start}px)` }}
                tabIndex={open ? 0 : undefined}
                onPointerDown={() => {
                  pressed.current = open;
                }}
                // Without a pointer: a screen reader's click, or a script's.
                onClick={open && ((event) => event.detail === 0 && open())}
                onKeyDown={open && ((event) => onKey(event, open))}
              >
                {columns.map(({ name, cell, isWide }) => (
                  <div key={name} role="cell" className={isWide ? style.wide : undefined}>
                    {value === undefined ? <span className={style.waiting} /> : cell(value)}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

function onKey(event: KeyboardEvent<HTMLElement>, open: () => void) {
  if (event.target !== event.currentTarget) return;
  const { currentTarget } = event;
  const beside = { ArrowDown: currentTarget.nextElementSibling, ArrowUp: currentTarget.previousElementSibling }[
    event.key
  ];
  if (beside instanceof HTMLElement) beside.focus();
  else if (event.key === "Enter" || event.key === " ") open();
  else return;
  event.preventDefault();
}

/** Rows that come at the top push the others down; who has scrolled goes with them. */
function useStill(scroller: { current: HTMLElement | null }, count: number, rowHeight: number, isWanted: boolean) {
  const before = useRef(count);
  useLayoutEffect(() => {
    const more = count - before.current;
    before.current = count;
    const box = scroller.current;
    if (isWanted && box && more > 0 && box.scrollTop > rowHeight) box.scrollTop += more * rowHeight;
  }, [scroller, count, rowHeight, isWanted]);
}
