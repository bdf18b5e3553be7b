// A spark line: the course of one metric at a glance, with its gaps left open.

import { html } from "../vendor/preact.js";
import { labelOf, quantity } from "./format.js";

const PAD = 2;

/**
 * The line as an SVG path; a null, or a distance over `maxGapMs`, breaks it; what stands alone is a dot.
 * @param {{time: number, value: number|null}[]} points in time order
 * @param {{width: number, height: number, from: number, to: number, maxGapMs: number}} frame
 */
export function sparkPath(points, { width, height, from, to, maxGapMs }) {
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  let path = "";
  let before = -Infinity;
  for (const { time, value } of points) {
    if (value === null) {
      before = -Infinity;
      continue;
    }
    const x = ((time - from) / (to - from || 1)) * (width - 2 * PAD) + PAD;
    const y = height - PAD - ((value - low) / span) * (height - 2 * PAD);
    const broken = time - before > maxGapMs;
    path += `${broken ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}${broken ? "h0" : ""}`;
    before = time;
  }
  return path;
}

/**
 * @param {{metric: string, points: {time: number, value: number|null}[], from: number, to: number, maxGapMs: number,
 *   width?: number, height?: number}} props
 */
export function Spark({ metric, points, from, to, maxGapMs, width = 120, height = 28 }) {
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  if (values.length === 0) return html`<span class="soft small">no history</span>`;
  const label = `${labelOf(metric)}: ${quantity(metric, values[0])} to ${quantity(metric, values[values.length - 1])}, lowest ${quantity(metric, Math.min(...values))}, highest ${quantity(metric, Math.max(...values))}`;
  return html`<svg class="spark" viewBox=${`0 0 ${width} ${height}`} width=${width} height=${height} role="img" aria-label=${label}><path d=${sparkPath(points, { width, height, from, to, maxGapMs })} /></svg>`;
}
