/** Values of cells and lists, in words. */

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** In one line, as a person reads it. */
export function cellWords(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (value instanceof Date) return dateWords(value);
  if (value instanceof Map || value instanceof Set) return JSON.stringify([...value]);
  if (typeof value === "object")
    return JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}` : inner));
  return String(value);
}

function dateWords(value: Date): string {
  if (Number.isNaN(value.getTime())) return "Invalid Date";
  const isDay = value.getHours() + value.getMinutes() + value.getSeconds() + value.getMilliseconds() === 0;
  return (isDay ? day : moment).format(value);
}
