/** How much came when, small enough to stand in a row. */

import style from "./sparkline.module.css";
import { count } from "./time.tsx";

const BAR_PX = 2;
const HEIGHT_PX = 18;

interface Props {
  counts: readonly number[];
  /** What one of them is, such as "request". */
  what: string;
  /** Over how long, such as "in the last 24 hours". */
  when: string;
}

export function Sparkline({ counts, what, when }: Props) {
  const total = counts.reduce((sum, many) => sum + many, 0);
  const highest = Math.max(1, ...counts);
  const label = `${total === 0 ? "no" : count(total)} ${what}${total === 1 ? "" : "s"} ${when}`;
  const width = counts.length * BAR_PX;
  // One that came is seen, however many came at another time.
  const top = (many: number) => HEIGHT_PX - Math.max(2, (many / highest) * HEIGHT_PX);
  const bars = counts
    .map((many, index) => (many > 0 ? `M${index * BAR_PX + 1} ${HEIGHT_PX}V${top(many)}` : ""))
    .join("");
  return (
    <svg
      className={style.sparkline}
      viewBox={`0 0 ${width} ${HEIGHT_PX}`}
      width={width}
      height={HEIGHT_PX}
      role="img"
      aria-label={label}
    >
      <title>{label}</title>
      <path className={style.ground} d={`M0 ${HEIGHT_PX - 0.5}H${width}`} />
      <path className={style.bars} d={bars} />
    </svg>
  );
}
