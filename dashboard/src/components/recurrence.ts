/** Times that come again and again, as a person chooses and says them. What else a cron expression may say is said as it is. */

export type Every = "hour" | "day" | "weekday" | "week" | "month" | "custom";

export interface Recurrence {
  every: Every;
  /** Of the hour, where that is all there is to choose. */
  minute: number;
  /** "09:00" */
  time: string;
  /** 0 is Sunday. */
  weekday: number;
  day: number;
  /** What is written where nothing of this says it. */
  cron: string;
}

export const EVERY: Record<Every, string> = {
  hour: "Every hour",
  day: "Every day",
  weekday: "Every weekday",
  week: "Every week",
  month: "Every month",
  custom: "Cron expression",
};

export const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

export const DAILY: Recurrence = { every: "day", minute: 0, time: "09:00", weekday: 1, day: 1, cron: "0 9 * * *" };

export function cronOf({ every, minute, time, weekday, day, cron }: Recurrence): string {
  const [hour, past] = time.split(":").map(Number);
  const at = `${past ?? 0} ${hour ?? 0}`;
  switch (every) {
    case "hour":
      return `${minute} * * * *`;
    case "day":
      return `${at} * * *`;
    case "weekday":
      return `${at} * * MON-FRI`;
    case "week":
      return `${at} * * ${weekday}`;
    case "month":
      return `${at} ${day} * *`;
    case "custom":
      return cron;
  }
}

/** The same again, where it is one that can be chosen. */
export function recurrenceOf(cron: string): Recurrence {
  const other: Recurrence = { ...DAILY, every: "custom", cron };
  const fields = cron.trim().split(/\s+/);
  const [minute = "", hour = "", day = "", month, weekday = ""] = fields;
  const isNumber = (text: string) => /^\d{1,2}$/.test(text);
  if (fields.length !== 5 || month !== "*" || !isNumber(minute)) return other;
  const known = { ...other, minute: Number(minute) };
  if (hour === "*") return day === "*" && weekday === "*" ? { ...known, every: "hour" } : other;
  if (!isNumber(hour)) return other;
  const timed = { ...known, time: `${hour.padStart(2, "0")}:${minute.padStart(2, "0")}` };
  if (isNumber(day)) return weekday === "*" ? { ...timed, every: "month", day: Number(day) } : other;
  if (day !== "*") return other;
  if (weekday === "*") return { ...timed, every: "day" };
  if (weekday === "MON-FRI" || weekday === "1-5") return { ...timed, every: "weekday" };
  return /^[0-6]$/.test(weekday) ? { ...timed, every: "week", weekday: Number(weekday) } : other;
}

/** "every Monday at 09:00"; nothing where only the expression says it. */
export function wordsOf(cron: string): string | undefined {
  const [, minutes] = /^\s*\*(?:\/(\d{1,2}))?(?:\s+\*){4}\s*$/.exec(cron) ?? [undefined, ""];
  if (minutes === undefined || minutes === "1") return "every minute";
  // Those that part the hour evenly.
  if (minutes !== "" && 60 % Number(minutes) === 0) return `every ${Number(minutes)} minutes`;
  const { every, minute, time, weekday, day } = recurrenceOf(cron);
  switch (every) {
    case "hour":
      return minute === 0 ? "every hour" : `every hour at :${String(minute).padStart(2, "0")}`;
    case "day":
      return `every day at ${time}`;
    case "weekday":
      return `every weekday at ${time}`;
    case "week":
      return `every ${WEEKDAYS[weekday]} at ${time}`;
    case "month":
      return `every month on day ${day} at ${time}`;
    case "custom":
      return undefined;
  }
}

export const ownTimezone = () => new Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export function timezones(): string[] {
  const known = Intl.supportedValuesOf("timeZone");
  return known.includes("UTC") ? known : ["UTC", ...known];
}

/** "Mon 23 Nov, 09:00", as the clocks there show it. */
export function momentIn(timezone: string, at: number): string {
  const parts = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" } as const;
  try {
    return new Intl.DateTimeFormat(undefined, { ...parts, hourCycle: "h23", timeZone: timezone }).format(at);
  } catch {
    // The server knows one that this browser does not.
    return new Intl.DateTimeFormat(undefined, { ...parts, hourCycle: "h23" }).format(at);
  }
}
