/** A value in a table or a list: words, a moment, a link, an image. */

import type { ReactNode } from "react";
import type { Target } from "../../api/types.ts";
import { Picture, type PictureProps } from "../displays/picture.tsx";
import { Lead } from "../displays/place.tsx";
import { cellWords } from "../displays/value.ts";
import style from "./cell.module.css";

type Rich = Target & { label?: unknown; value?: unknown; image?: PictureProps; highlightColor?: string };

const RICH = ["label", "value", "url", "href", "route", "action", "image", "highlightColor"];

/** Of the colours that an action may name, those that we have. */
const TINTS: Record<string, string | undefined> = {
  red: style.bad,
  orange: style.warn,
  yellow: style.warn,
  green: style.ok,
  blue: style.accent,
  purple: style.accent,
  pink: style.bad,
  gray: style.plain,
};

function richOf(value: unknown): Rich | undefined {
  if (typeof value !== "object" || value === null || value instanceof Date || Array.isArray(value)) return undefined;
  return RICH.some((name) => name in value) ? value : undefined;
}

export function Cell({ value }: { value: unknown }): ReactNode {
  const rich = richOf(value);
  if (!rich) return <Words value={value} />;
  const words = rich.label ?? rich.value;
  const inside = (
    <>
      {rich.image?.url && <Picture {...rich.image} size={rich.image.size ?? rich.image.width ?? "thumbnail"} />}
      <Words value={words} />
    </>
  );
  const tint = rich.highlightColor && TINTS[rich.highlightColor];
  return (
    <span className={[style.rich, tint && style.tinted, tint].filter(Boolean).join(" ")}>
      {rich.url || rich.href || rich.route || rich.action ? <Lead target={rich}>{inside}</Lead> : inside}
    </span>
  );
}

function Words({ value }: { value: unknown }) {
  if (typeof value === "number" || typeof value === "bigint") {
    return <span className={style.number}>{String(value)}</span>;
  }
  if (value instanceof Date && !Number.isNaN(value.getTime())) {
    return <time dateTime={value.toISOString()}>{cellWords(value)}</time>;
  }
  return cellWords(value);
}

/** For a file of comma-separated values, and for screen readers. */
export function plainWords(value: unknown): string {
  const rich = richOf(value);
  const words = rich ? (rich.label ?? rich.value ?? rich.url ?? rich.href ?? "") : value;
  return words instanceof Date && !Number.isNaN(words.getTime()) ? words.toISOString() : cellWords(words);
}

export const isNumber = (value: unknown) => typeof value === "number" || typeof value === "bigint";
