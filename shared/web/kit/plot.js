// The drawing: uPlot with a mean line and a min/max band per metric, axes by unit, times in the site's zone,
// gaps shaded, marks, and the gestures of mouse, touch and wheel.

import uPlot from "../vendor/uplot.js";
import { gapReason, msOf, number, unitOf } from "./format.js";
import { gapAt, moved, roomFor, timeLabels, zoomed } from "./span.js";

/** @typedef {import("./series.js").Series} Series */
/** @typedef {import("./series.js").Gap} Gap */
/** @typedef {{time: string, label: string}} Mark */
/** @typedef {import("./span.js").Span} Span */
/** @typedef {{index: number, time: number}} Under the index is -1 inside a gap that no window stands in */

const COLOURS = 6;
const WHEEL_STEP = 1.2;
/** Narrower boxes have room for two axes. */
const WIDE_PX = 640;
const TEXT_PX = 12;
/** Axes grow in such steps, so that moving does not make them tremble. */
const AXIS_STEP_PX = 8;
/** Of a mark's words; the table has them all. */
const MARK_LETTERS_MAX = 28;
const MARK_ROWS = 3;

/** Pixels of the page for one of the design, which letters grow by on a wall. */
const scale = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;

/** @param {string} name */
export const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** @param {number} index */
export const colourOf = (index) => `--series-${(index % COLOURS) + 1}`;

/** @param {string} sheet */
const styled = (sheet) => new Promise((resolve) => {
  const href = new URL(sheet, import.meta.url).href;
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href, onload: resolve, onerror: resolve });
  document.head.append(link);
});
// Who imports this gets it with its looks, so that nothing jumps.
await Promise.all([styled("../vendor/uplot.css"), styled("./chart.css")]);

/**
 * Those that a step between two labels needs: 2.5 has one.
 * @param {number} step
 */
const decimalsOf = (step) => [0, 1, 2, 3].find((decimals) => Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) < 1e-6) ?? 4;

/**
 * @param {{box: HTMLElement, metrics: string[], zone: string, height: number, view: Span, gaps: () => Gap[],
 *   marks: () => Mark[], wanted: (view: Span) => void, reset: () => void, cursor: (under: Under|null) => void}} props
 *   `wanted` is called with each view that a gesture asks for, `cursor` with what is under the pointer.
 */
export function createPlot({ box, metrics, zone, height, view: first, gaps, marks, wanted, reset, cursor }) {
  const units = [...new Set(metrics.map(unitOf))];
  const scaleOf = (/** @type {string} */ metric) => `u:${unitOf(metric)}`;
  const width = () => Math.max(200, box.clientWidth);
  const wide = width() >= WIDE_PX;
  const font = () => `${Math.round(TEXT_PX * scale())}px ${token("--font")}`;
  const tall = () => Math.round(height * scale());
  /**
   * Where only one line belongs to an axis, it has the line's colour.
   * @param {string} unit
   */
  const inkOf = (unit) => {
    const own = metrics.filter((metric) => unitOf(metric) === unit);
    return token(own.length === 1 && units.length > 1 ? colourOf(metrics.indexOf(own[0])) : "--soft");
  };
  let view = first;

  const axis = (/** @type {string} */ unit, /** @type {number} */ index) => ({
    scale: `u:${unit}`, side: index === 0 ? 3 : 1, size: sizeOf, gap: 4, show: wide || index < 2,
    ...(wide ? { label: unit, labelSize: 18, labelGap: 0 } : {}),
    stroke: () => inkOf(unit), grid: { show: index === 0, stroke: () => token("--line"), width: 1 }, ticks: { show: false },
    font: font(), labelFont: font(),
    values: (/** @type {any} */ _, /** @type {number[]} */ splits, /** @type {any} */ __, /** @type {any} */ ___, /** @type {number} */ step) =>
      splits.map((value) => number(value, decimalsOf(step))),
  });
  const lines = metrics.flatMap((metric, index) => {
    const edge = { scale: scaleOf(metric), stroke: "transparent", width: 0, points: { show: false } };
    return [edge, edge, { scale: scaleOf(metric), stroke: () => token(colourOf(index)), width: 1.6 * scale(), points: { size: 5 * scale(), fill: () => token(colourOf(index)) } }];
  });
  const plot = new uPlot({
    width: width(), height: tall(), ms: 1, legend: { show: false }, padding: [10, units.length > 1 ? 0 : 14, 0, 0],
    tzDate: (/** @type {number} */ time) => uPlot.tzDate(new Date(time), zone),
    scales: {
      x: { time: true, auto: false, min: first.from, max: first.to },
      ...Object.fromEntries(units.map((unit) => [`u:${unit}`, { range: (/** @type {any} */ _, /** @type {number|null} */ low, /** @type {number|null} */ high) => roomFor(low, high) ?? uPlot.rangeNum(low, high, 0.1, true) }])),
    },
    series: [{}, ...lines],
    bands: metrics.map((_, index) => ({ series: [3 * index + 1, 3 * index + 2], fill: () => `${token(colourOf(index))}38` })),
    axes: [{
      stroke: () => token("--soft"), grid: { stroke: () => token("--line"), width: 1 }, ticks: { stroke: () => token("--line"), size: 4 },
      font: font(), space: (wide ? 70 : 52) * scale(), size: 42 * scale(),
      values: (/** @type {any} */ _, /** @type {number[]} */ splits, /** @type {any} */ __, /** @type {any} */ ___, /** @type {number} */ step) => timeLabels(splits, step, zone),
    }, ...units.map(axis)],
    cursor: {
      drag: { x: true, y: false, setScale: false, dist: 6 }, y: false,
      bind: {
        dblclick: () => () => reset(),
        mousedown: (/** @type {any} */ _, /** @type {any} */ __, /** @type {(event: MouseEvent) => void} */ handle) => (/** @type {MouseEvent} */ event) => !event.shiftKey && handle(event),
      },
    },
    hooks: {
      drawClear: [() => drawGaps(plot, gaps())],
      draw: [() => drawMarks(plot, marks())],
      setCursor: [() => cursor(under())],
      setSelect: [() => {
        const { left, width: chosen } = plot.select;
        if (chosen <= 0) return;
        const next = { from: plot.posToVal(left, "x"), to: plot.posToVal(left + chosen, "x") };
        plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        wanted(zoomed(next, 1));
      }],
    },
  }, [[], ...lines.map(() => [])], box);

  /** @returns {Under|null} */
  const under = () => {
    const index = plot.cursor.left >= 0 ? plot.cursor.idx ?? null : null;
    if (index === null) return null;
    const time = plot.posToVal(plot.cursor.left, "x");
    const gap = gapAt(gaps(), time);
    const nearest = plot.data[0][index];
    return gap === undefined || gapAt([gap], nearest) !== undefined ? { index, time: nearest } : { index: -1, time };
  };
  const gestures = listen(plot.over, {
    view: () => view, wanted, timeAt: (clientX) => plot.posToVal(clientX - plot.over.getBoundingClientRect().left, "x"), box,
  });
  const sized = new ResizeObserver(() => plot.setSize({ width: width(), height: tall() }));
  sized.observe(box);

  return {
    /** @param {Series} series @param {Span} next */
    show({ times, columns }, next) {
      view = next;
      plot.batch(() => {
        plot.setData([times, ...metrics.flatMap((metric) => [columns[metric].max, columns[metric].min, columns[metric].mean])], false);
        plot.setScale("x", { min: next.from, max: next.to });
      });
      cursor(under());
    },
    /** @param {Span} next */
    move(next) {
      view = next;
      plot.setScale("x", { min: next.from, max: next.to });
    },
    /** @param {string} metric @param {boolean} shown */
    toggle(metric, shown) {
      const index = 3 * metrics.indexOf(metric);
      plot.batch(() => [1, 2, 3].forEach((part) => plot.setSeries(index + part, { show: shown })));
    },
    /**
     * Moves the cursor to the next or previous time in view.
     * @param {1|-1} step
     */
    step(step) {
      const [low, high] = plot.series[0].idxs;
      if (low === undefined || low === null || high < low) return;
      const now = plot.cursor.left >= 0 ? plot.cursor.idx : step > 0 ? low - 1 : high + 1;
      const index = Math.min(high, Math.max(low, now + step));
      plot.setCursor({ left: plot.valToPos(plot.data[0][index], "x"), top: plot.over.clientHeight / 2 });
      return index;
    },
    redraw: () => plot.redraw(false, true),
    /** @returns {HTMLCanvasElement} */
    canvas: () => plot.ctx.canvas,
    end() {
      sized.disconnect();
      gestures();
      plot.destroy();
    },
  };
}

/**
 * As wide as the longest label.
 * @param {any} plot @param {string[]|null} values @param {number} index @param {number} cycle
 */
function sizeOf(plot, values, index, cycle) {
  const axis = plot.axes[index];
  if (cycle > 1) return axis._size;
  plot.ctx.font = axis.font[0];
  const widest = Math.max(0, ...(values ?? []).map((value) => plot.ctx.measureText(value).width / devicePixelRatio));
  return Math.max(40, Math.ceil((widest + axis.gap + 8) / AXIS_STEP_PX) * AXIS_STEP_PX);
}

/**
 * Shaded, with the reason where there is room for it.
 * @param {any} plot @param {Gap[]} gaps
 */
function drawGaps(plot, gaps) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.font = `${TEXT_PX * scale() * ratio}px ${token("--font")}`;
  ctx.textAlign = "center";
  for (const gap of gaps) {
    const left = plot.valToPos(Date.parse(gap.from), "x", true);
    const width = Math.max(ratio, plot.valToPos(Date.parse(gap.to), "x", true) - left);
    ctx.fillStyle = token("--warn-ground");
    ctx.fillRect(left, bbox.top, width, bbox.height);
    ctx.strokeStyle = token("--warn");
    ctx.lineWidth = 2 * ratio;
    ctx.beginPath();
    ctx.moveTo(left, bbox.top + ratio);
    ctx.lineTo(left + width, bbox.top + ratio);
    ctx.stroke();
    const [start, end] = [Math.max(left, bbox.left), Math.min(left + width, bbox.left + bbox.width)];
    const words = gapReason(gap.reason);
    ctx.fillStyle = token("--warn");
    if (ctx.measureText(words).width + 12 * ratio < end - start) ctx.fillText(words, (start + end) / 2, bbox.top + bbox.height - 10 * ratio);
  }
  ctx.restore();
}

/**
 * Lines with their words beside them, in rows where they would stand on each other.
 * @param {any} plot @param {Mark[]} marks
 */
function drawMarks(plot, marks) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const size = TEXT_PX * scale() * ratio;
  const end = bbox.left + bbox.width;
  const rows = Array(MARK_ROWS).fill(-Infinity);
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = token("--ink");
  ctx.lineWidth = ratio;
  ctx.setLineDash([4 * ratio, 3 * ratio]);
  ctx.font = `${size}px ${token("--font")}`;
  ctx.textAlign = "left";
  for (const { time, label } of [...marks].sort((one, other) => (msOf(one.time) ?? 0) - (msOf(other.time) ?? 0))) {
    const x = plot.valToPos(Date.parse(time), "x", true);
    if (!(x >= bbox.left && x <= end)) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const words = label.length > MARK_LETTERS_MAX ? `${label.slice(0, MARK_LETTERS_MAX - 1)}…` : label;
    const wide = ctx.measureText(words).width;
    const left = Math.max(bbox.left, x + 4 * ratio + wide > end ? x - 4 * ratio - wide : x + 4 * ratio);
    const row = rows.findIndex((taken) => taken < left);
    if (row < 0) continue;
    rows[row] = left + wide + 4 * ratio;
    const base = bbox.top + (row * 1.25 + 1.1) * size;
    halo(ctx, words, left, base);
    ctx.fillText(words, left, base);
  }
  ctx.restore();
}

/**
 * The ground's colour around words that stand on lines.
 * @param {CanvasRenderingContext2D} ctx @param {string} words @param {number} left @param {number} base
 */
function halo(ctx, words, left, base) {
  ctx.save();
  ctx.setLineDash([]);
  ctx.lineWidth = 4 * devicePixelRatio;
  ctx.lineJoin = "round";
  ctx.strokeStyle = token("--surface");
  ctx.strokeText(words, left, base);
  ctx.restore();
}

/**
 * Wheel: with Ctrl, or when the chart has the focus, zooms; sideways moves. Shift and drag, or one finger, moves;
 * two fingers zoom.
 * @param {HTMLElement} over
 * @param {{view: () => Span, wanted: (view: Span) => void, timeAt: (clientX: number) => number, box: HTMLElement}} chart
 */
function listen(over, { view, wanted, timeAt, box }) {
  /** @type {Map<number, number>} */
  const fingers = new Map();
  const done = new AbortController();
  const { signal } = done;
  over.style.touchAction = "pan-y";

  over.addEventListener("wheel", (event) => {
    const focused = box.parentElement?.contains(document.activeElement) ?? false;
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!event.ctrlKey && !focused && !sideways) return;
    event.preventDefault();
    wanted(sideways ? moved(view(), event.deltaX / over.clientWidth) : zoomed(view(), event.deltaY > 0 ? WHEEL_STEP : 1 / WHEEL_STEP, timeAt(event.clientX)));
  }, { passive: false, signal });

  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch" && !event.shiftKey) return;
    fingers.set(event.pointerId, event.clientX);
    over.setPointerCapture(event.pointerId);
  }, { signal });
  over.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (before === undefined) return;
    if (fingers.size === 1) wanted(moved(view(), (before - event.clientX) / over.clientWidth));
    if (fingers.size === 2) {
      const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, x]) => x);
      const apart = Math.max(8, Math.abs(before - other));
      wanted(zoomed(view(), apart / Math.max(8, Math.abs(event.clientX - other)), timeAt(other)));
    }
    fingers.set(event.pointerId, event.clientX);
  }, { signal });
  for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) over.addEventListener(name, (event) => fingers.delete(event.pointerId), { signal });
  return () => done.abort();
}
