// The drawing: uPlot with a mean line and a min/max band per metric, axes by unit, times in the site's zone,
// gaps shaded, marks, and the gestures of mouse, touch and wheel.

import uPlot from "../vendor/uplot.js";
import { number, unitOf } from "./format.js";
import { moved, timeLabels, zoomed } from "./span.js";

/** @typedef {import("./series.js").Series} Series */
/** @typedef {import("./series.js").Gap} Gap */
/** @typedef {{time: string, label: string}} Mark */
/** @typedef {import("./span.js").Span} Span */

const COLOURS = 6;
const WHEEL_STEP = 1.2;
/** Narrower boxes have room for two axes. */
const WIDE_PX = 640;

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
 *   marks: () => Mark[], wanted: (view: Span) => void, reset: () => void, cursor: (index: number|null) => void}} props
 *   `wanted` is called with each view that a gesture asks for, `cursor` with the index under the pointer.
 */
export function createPlot({ box, metrics, zone, height, view: first, gaps, marks, wanted, reset, cursor }) {
  const units = [...new Set(metrics.map(unitOf))];
  const scaleOf = (/** @type {string} */ metric) => `u:${unitOf(metric)}`;
  const width = () => Math.max(200, box.clientWidth);
  const wide = width() >= WIDE_PX;
  let view = first;

  const axis = (/** @type {string} */ unit, /** @type {number} */ index) => ({
    scale: `u:${unit}`, side: index === 0 ? 3 : 1, size: wide ? 48 : 40, gap: 4, show: wide || index < 2,
    ...(wide ? { label: unit, labelSize: 16, labelGap: 0 } : {}),
    stroke: () => token("--soft"), grid: { show: index === 0, stroke: () => token("--line"), width: 1 }, ticks: { show: false },
    font: `12px ${token("--font")}`, labelFont: `12px ${token("--font")}`,
    values: (/** @type {any} */ _, /** @type {number[]} */ splits, /** @type {any} */ __, /** @type {any} */ ___, /** @type {number} */ step) =>
      splits.map((value) => number(value, decimalsOf(step))),
  });
  const lines = metrics.flatMap((metric, index) => {
    const edge = { scale: scaleOf(metric), stroke: "transparent", width: 0, points: { show: false } };
    return [edge, edge, { scale: scaleOf(metric), stroke: () => token(colourOf(index)), width: 1.6, points: { size: 5, fill: () => token(colourOf(index)) } }];
  });
  const plot = new uPlot({
    width: width(), height, ms: 1, legend: { show: false }, padding: [10, units.length > 1 ? 0 : 14, 0, 0],
    tzDate: (/** @type {number} */ time) => uPlot.tzDate(new Date(time), zone),
    scales: { x: { time: true, auto: false, min: first.from, max: first.to } },
    series: [{}, ...lines],
    bands: metrics.map((_, index) => ({ series: [3 * index + 1, 3 * index + 2], fill: () => `${token(colourOf(index))}38` })),
    axes: [{
      stroke: () => token("--soft"), grid: { stroke: () => token("--line"), width: 1 }, ticks: { stroke: () => token("--line"), size: 4 },
      font: `12px ${token("--font")}`, space: wide ? 70 : 52, size: 42,
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

  const under = () => (plot.cursor.left >= 0 ? plot.cursor.idx ?? null : null);
  const gestures = listen(plot.over, {
    view: () => view, wanted, timeAt: (clientX) => plot.posToVal(clientX - plot.over.getBoundingClientRect().left, "x"), box,
  });
  const sized = new ResizeObserver(() => plot.setSize({ width: width(), height }));
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

/** @param {any} plot @param {Gap[]} gaps */
function drawGaps(plot, gaps) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
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
  }
  ctx.restore();
}

/** @param {any} plot @param {Mark[]} marks */
function drawMarks(plot, marks) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = token("--ink");
  ctx.lineWidth = ratio;
  ctx.setLineDash([4 * ratio, 3 * ratio]);
  ctx.font = `${11 * ratio}px ${token("--font")}`;
  for (const { time, label } of marks) {
    const x = plot.valToPos(Date.parse(time), "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const wide = ctx.measureText(label).width + 6 * ratio;
    ctx.textAlign = x + wide > bbox.left + bbox.width ? "right" : "left";
    ctx.fillText(label, x + (ctx.textAlign === "left" ? 4 : -4) * ratio, bbox.top + 13 * ratio);
  }
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
