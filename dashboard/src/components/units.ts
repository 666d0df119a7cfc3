/** Amounts, as a person says them. */

const UNITS = ["B", "kB", "MB", "GB", "TB"];

const short = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });

export function bytes(many: number): string {
  const power = many < 1 ? 0 : Math.min(Math.floor(Math.log10(many) / 3), UNITS.length - 1);
  return `${short.format(many / 1000 ** power)} ${UNITS[power]}`;
}

export function milliseconds(ms: number): string {
  return ms < 1000 ? `${short.format(ms)} ms` : `${short.format(ms / 1000)} s`;
}

/** A span of time in its largest unit or two: "3 d 4 h". */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600), Math.floor(seconds / 60)];
  if (days > 0) return `${days} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  if (minutes > 0) return `${minutes} min`;
  return `${seconds} s`;
}
