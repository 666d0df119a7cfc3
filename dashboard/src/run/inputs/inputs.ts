/** Which input each method of the SDK asks for. */

import type { Input } from "../component.ts";
import { boolean } from "./boolean.tsx";
import { date, datetime, time } from "./date.tsx";
import { file } from "./file.tsx";
import { number } from "./number.tsx";
import { richText } from "./rich_text.tsx";
import { search } from "./search.tsx";
import { selectMultiple } from "./select_multiple.tsx";
import { selectSingle } from "./select_single.tsx";
import { selectTable } from "./select_table.tsx";
import { slider } from "./slider.tsx";
import { spreadsheet } from "./spreadsheet.tsx";
import { text } from "./text.tsx";

const INPUTS: Record<string, unknown> = {
  INPUT_TEXT: text,
  INPUT_EMAIL: text,
  INPUT_URL: text,
  INPUT_NUMBER: number,
  INPUT_BOOLEAN: boolean,
  INPUT_DATE: date,
  INPUT_TIME: time,
  INPUT_DATETIME: datetime,
  INPUT_SLIDER: slider,
  INPUT_RICH_TEXT: richText,
  INPUT_SPREADSHEET: spreadsheet,
  UPLOAD_FILE: file,
  SELECT_SINGLE: selectSingle,
  SELECT_MULTIPLE: selectMultiple,
  SELECT_TABLE: selectTable,
  SEARCH: search,
};

/** Each is given the properties and drafts of its own method alone. */
export const inputOf = (method: string) => INPUTS[method] as Input | undefined;
