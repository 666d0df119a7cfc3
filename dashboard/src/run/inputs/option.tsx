/** One of several things to choose from. */

import type { ReactNode } from "react";
import { Picture, type PictureProps } from "../displays/picture.tsx";
import { cellWords } from "../displays/value.ts";
import style from "./option.module.css";

export interface Option {
  label: unknown;
  value: unknown;
  description?: string | null;
  imageUrl?: string | null;
  image?: PictureProps;
}

export const optionWords = ({ label }: Pick<Option, "label">) => cellWords(label);

/** What it says about itself. */
export function OptionText({ option }: { option: Option }): ReactNode {
  const picture = option.image ?? (option.imageUrl ? { url: option.imageUrl } : undefined);
  return (
    <span className={style.option}>
      {picture && <Picture {...picture} size={picture.size ?? "thumbnail"} />}
      <span className={style.words}>
        <span>{optionWords(option)}</span>
        {option.description && <small>{option.description}</small>}
      </span>
    </span>
  );
}

/** Options are told apart as the SDK does it: by type and value. */
const identity = (value: unknown) => (value instanceof Date ? `date:${value.valueOf()}` : `${typeof value}:${value}`);

export function placeOf(options: readonly Option[], sought: unknown): number | null {
  if (typeof sought !== "object" || sought === null || !("value" in sought)) return null;
  const place = options.findIndex(({ value }) => identity(value) === identity(sought.value));
  return place < 0 ? null : place;
}

export const chosen = ({ label, value }: Option) => ({ label, value });
