/** Small drawings beside words. They say nothing alone: whoever hears the page hears the words. */

const PATHS = {
  search: "M7 12.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11ZM11 11l3.5 3.5",
  away: "M2 5.5a9 9 0 0 1 12 0M4.5 8.5a5.5 5.5 0 0 1 4-1.5M8 12.5h.01M10.5 9.5l4 4M14.5 9.5l-4 4",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  check: "M2.5 8.5 6 12l7.5-8",
  cross: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  warning: "M8 1.8 15 14H1L8 1.8ZM8 6v4M8 12h.01",
  play: "M4 2.5v11l9-5.5z",
  pause: "M5 3v10M11 3v10",
  plus: "M8 2.5v11M2.5 8h11",
  minus: "M2.5 8h11",
  change: "M2 6h11l-3-3M14 10H3l3 3",
  clock: "M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM8 4.5V8l2.5 2",
  send: "M14.5 1.5 7 9M14.5 1.5 10 14.5 7 9 1.5 6z",
  down: "M3 6l5 5 5-5",
  right: "M6 3l5 5-5 5",
  left: "M10 3L5 8l5 5",
  person: "M8 7.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM2 14.5c0-3 2.7-4.5 6-4.5s6 1.5 6 4.5",
  skip: "M3 3l6 5-6 5zM12.5 3v10",
  twin: "M2.5 5.5h8v8h-8zM5.5 5.5v-3h8v8h-3",
  hook: "M10 2.5v6a3.5 3.5 0 1 1-5-3.2M8 4.5l2-2 2 2",
  function: "M2.5 4.5 6 8l-3.5 3.5M8 12.5h5.5",
  download: "M8 2v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11",
  upload: "M8 10.5v-8M4.5 6 8 2.5 11.5 6M2.5 13.5h11",
  bin: "M2.5 4h11M6 4V2.5h4V4M4 4l.7 9.5h6.6L12 4",
  gear: "M8 10.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4ZM8 1.5v2M8 12.5v2M1.5 8h2M12.5 8h2M3.4 3.4l1.4 1.4M11.2 11.2l1.4 1.4M3.4 12.6l1.4-1.4M11.2 4.8l1.4-1.4",
  info: "M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM8 7.5v3.5M8 5h.01",
  restore: "M2.5 8a5.5 5.5 0 1 0 2-4.2M2.5 1.8v3h3",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg
      width="14"
      height="14"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
