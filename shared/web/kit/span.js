// The span of time that a chart shows: zoomed, moved, and labelled in the site's zone. Pure functions.

import { at } from "./format.js";

/** @typedef {{from: number, to: number}} Span in ms */

/** What zooming ends at. */
const SPAN_MIN_MS = 10_000;
const SPAN_MAX_MS = 20 * 366 * 86_400_000;
/** Asked for on both sides of what is seen, as a share of it, so that a small move shows no edge. */
export const MARGIN = 0.25;
/** Below this share of what was asked for, finer data is worth a request. */
const FINER_BELOW = 0.7;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/**
 * The view zoomed by a factor around one of its times, within the limits.
 * @param {Span} view
 * @param {number} factor below 1 shows less
 * @param {number} around
 * @returns {Span}
 */
export function zoomed({ from, to }, factor, around = (from + to) / 2) {
  const span = Math.min(SPAN_MAX_MS, Math.max(SPAN_MIN_MS, (to - from) * factor));
  const share = (around - from) / (to - from);
  return { from: around - span * share, to: around + span * (1 - share) };
}

/**
 * The view moved by a share of its length.
 * @param {Span} view
 * @param {number} share
 * @returns {Span}
 */
export const moved = ({ from, to }, share) => ({ from: from + (to - from) * share, to: to + (to - from) * share });

/**
 * The gap that a time lies in.
 * @template {{from: string, to: string}} Gap
 * @param {Gap[]} gaps
 * @param {number} time
 */
export const gapAt = (gaps, time) => gaps.find(({ from, to }) => time >= Date.parse(from) && time <= Date.parse(to));

/**
 * What an axis spans where its values span nothing; undefined where they do.
 * @param {number|null} low
 * @param {number|null} high
 * @returns {[number|null, number|null]|undefined}
 */
export function roomFor(low, high) {
  if (low === null || high === null) return [null, null];
  if (low !== high) return undefined;
  return low === 0 ? [0, 1] : [low - Math.abs(low) * 0.1, low + Math.abs(low) * 0.1];
}

/**
 * Labels of the time axis: the day stands where it changes.
 * @param {number[]} times
 * @param {number} stepMs
 * @param {string} zone
 */
export function timeLabels(times, stepMs, zone) {
  let before = "";
  return times.map((time) => {
    const day = at(time, zone, "day").replace(/^\w+ /, "");
    if (stepMs >= 28 * DAY_MS) return at(time, zone, "date").replace(/^\d+ /, "");
    if (stepMs >= DAY_MS) return day;
    const clock = at(time, zone, stepMs < MINUTE_MS ? "time" : "minute");
    const label = day === before ? clock : `${clock}\n${day}`;
    before = day;
    return label;
  });
}

/**
 * Whether the data that was asked for serves a view too: it lies within, and is not much shorter.
 * @param {Span|null} asked
 * @param {Span} view
 */
export function covers(asked, view) {
  if (asked === null) return false;
  const length = asked.to - asked.from;
  return view.from >= asked.from - length * MARGIN && view.to <= asked.to + length * MARGIN && view.to - view.from > length * FINER_BELOW;
}
