/** A number over time, drawn by uPlot in the page's own colours. */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useEffect, useRef } from "react";
import type { Series } from "../api/types.ts";
import style from "./chart.module.css";

const HEIGHT_PX = 170;

export default function Chart({ label, points }: { label: string; points: Series["points"] }) {
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    const parent = place.current;
    if (!parent) return;
    let chart = draw(parent, label, points);
    let width = parent.clientWidth;
    const sized = new ResizeObserver(() => {
      if (parent.clientWidth === width) return;
      width = parent.clientWidth;
      chart.setSize({ width, height: HEIGHT_PX });
    });
    sized.observe(parent);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => {
      chart.destroy();
      chart = draw(parent, label, points);
    };
    dark.addEventListener("change", redraw);
    return () => {
      dark.removeEventListener("change", redraw);
      sized.disconnect();
      chart.destroy();
    };
  }, [label, points]);
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const words =
    values.length === 0
      ? `${label}: no numbers`
      : `${label}: from ${values[0]} to ${values.at(-1)}, at least ${Math.min(...values)}, at most ${Math.max(...values)}`;
  return <figure ref={place} className={style.chart} role="img" aria-label={words} />;
}

function draw(parent: HTMLElement, label: string, points: Series["points"]): uPlot {
  const colour = (name: string) => getComputedStyle(parent).getPropertyValue(name);
  const [line, ink, grid] = ["--line-colour", "--ink-colour", "--grid-colour"].map(colour);
  const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: "11px Inter Variable" };
  const options: uPlot.Options = {
    width: parent.clientWidth,
    height: HEIGHT_PX,
    scales: { x: { time: false } },
    legend: { live: true },
    cursor: { y: false },
    axes: [
      { ...axis, size: 28 },
      { ...axis, size: 56 },
    ],
    series: [
      { label: "request" },
      { label, stroke: line, width: 1.5, points: { show: points.length < 40, size: 5 }, spanGaps: false },
    ],
  };
  return new uPlot(options, [points.map(({ seq }) => seq), points.map(({ value }) => value)], parent);
}
