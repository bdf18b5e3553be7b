// A chart over time of one thing's metrics: asks for the data of the range in view, keeps the old on screen until the
// new is there, and gives the same as text, table, CSV and picture. To be loaded by import().

import { html, signal, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { at, counted, duration, figure, gapReason, labelOf, msOf, quantity, unitOf, zoneName } from "./format.js";
import { announce, theme } from "./shell.js";
import { Failed, now } from "./value.js";
import { colourOf, createPlot, token } from "./plot.js";
import { csv, joined, lastOf, latestOf, shape, summary, thinned, within } from "./series.js";
import { MARGIN, covers, gapAt, moved, zoomed } from "./span.js";

/** @typedef {import("./series.js").Bucket} Bucket */
/** @typedef {import("./series.js").Gap} Gap */
/** @typedef {import("./span.js").Span} Span */
/** @typedef {{buckets: Bucket[], gaps: Gap[]}} Answer the body of `GET /readings/aggregated` has this shape */

const SETTLE_MS = 200;
/** Words and address follow a movement that pauses; only the drawing keeps up with each frame. */
const PAUSE_MS = 120;
const PIXELS_PER_POINT = 1.5;
const POINTS_MAX = 2_000;
const TABLE_ROWS_MAX = 60;
const ZOOM_STEP = 1.6;
const MOVE_STEP = 0.25;

/**
 * @param {{label: string, metrics: string[], from: number, to: number|null, zone: string,
 *   load: (range: {from: number, to: number, points: number}, signal: AbortSignal) => Promise<Answer>,
 *   viewed?: (view: Span|null) => void, tail?: Bucket[], marks?: import("./plot.js").Mark[], height?: number}} props
 *   Times in ms; `to` null follows the time with `from` as the length's begin. `load` is asked for more than is seen.
 *   `viewed` hears where a person went, null for back to the start. `tail` are live buckets after those loaded.
 */
export function Chart({ label, metrics, from, to, zone, load, viewed, tail = [], marks = [], height = 320 }) {
  const box = useRef(/** @type {HTMLDivElement|null} */ (null));
  const plot = useRef(/** @type {ReturnType<typeof createPlot>|null} */ (null));
  const start = () => ({ from, to: to ?? now.peek() });
  const view = useRef(start());
  const follows = useRef(to === null);
  const asked = useRef(/** @type {Span|null} */ (null));
  const pause = useRef(/** @type {ReturnType<typeof setTimeout>|undefined} */ (undefined));
  const latest = useRef({ load, viewed, marks });
  latest.current = { load, viewed, marks };
  const [answer, setAnswer] = useState(/** @type {(Answer & {asOf: number})|null} */ (null));
  const [failure, setFailure] = useState(/** @type {unknown} */ (null));
  const [busy, setBusy] = useState(false);
  const [seen, setSeen] = useState(view.current);
  const [hidden, setHidden] = useState(/** @type {string[]} */ ([]));
  const under = useMemo(() => signal(/** @type {import("./plot.js").Under|null} */ (null)), []);
  const names = metrics.join();

  const loader = useMemo(() => latestOf({
    /** @param {Span} range @param {AbortSignal} abort */
    ask(range, abort) {
      setBusy(true);
      const span = range.to - range.from;
      const points = Math.min(POINTS_MAX, Math.round((box.current?.clientWidth ?? 800) / PIXELS_PER_POINT * (1 + 2 * MARGIN)));
      asked.current = range;
      return latest.current.load({ from: Math.round(range.from - span * MARGIN), to: Math.round(Math.min(range.to + span * MARGIN, now.peek() + 1_000)), points }, abort);
    },
    got(/** @type {Answer} */ got) {
      setBusy(false);
      setFailure(null);
      setAnswer({ ...got, asOf: now.peek() });
    },
    failed(error) {
      setBusy(false);
      asked.current = null;
      setFailure(error);
    },
  }), []);

  const series = useMemo(() => shape(joined(answer?.buckets ?? [], tail, answer?.asOf ?? 0), metrics, answer?.gaps ?? []), [answer, tail, names]);
  const shown = useRef({ series, gaps: /** @type {Gap[]} */ ([]) });
  shown.current = { series, gaps: answer?.gaps ?? [] };

  /** @param {Span} next @param {Span|null} told */
  function go(next, told) {
    view.current = next;
    plot.current?.move(next);
    if (covers(asked.current, next)) loader.stop();
    else loader.want(next, SETTLE_MS);
    clearTimeout(pause.current);
    pause.current = setTimeout(() => {
      setSeen(view.current);
      latest.current.viewed?.(told);
    }, PAUSE_MS);
  }
  /** @param {Span} next */
  function wanted(next) {
    follows.current = false;
    go(next, next);
  }
  function reset() {
    follows.current = to === null;
    go(start(), null);
  }
  const gestures = useRef({ wanted, reset });
  gestures.current = { wanted, reset };

  useEffect(() => {
    view.current = start();
    follows.current = to === null;
    setSeen(view.current);
    loader.want(view.current, 0);
    plot.current?.move(view.current);
    return () => {
      clearTimeout(pause.current);
      loader.stop();
    };
  }, [from, to, names]);

  useEffect(() => {
    const made = createPlot({
      box: /** @type {HTMLDivElement} */ (box.current), metrics, zone, height, view: view.current,
      gaps: () => shown.current.gaps, marks: () => latest.current.marks,
      wanted: (next) => gestures.current.wanted(next), reset: () => gestures.current.reset(),
      cursor: (pointed) => (under.value = pointed),
    });
    plot.current = made;
    made.show(shown.current.series, view.current);
    return () => {
      made.end();
      plot.current = null;
      under.value = null;
      setHidden([]);
    };
  }, [names, zone, height]);

  useEffect(() => {
    // The middle of a day's window may lie ahead.
    const end = Math.min(series.times[series.times.length - 1] ?? -Infinity, now.peek());
    if (follows.current && end > view.current.to) {
      view.current = moved(view.current, (end - view.current.to) / (view.current.to - view.current.from));
      setSeen(view.current);
    }
    plot.current?.show(series, view.current);
  }, [series]);
  useEffect(() => plot.current?.redraw(), [theme.value, marks]);

  /** @param {string} metric */
  function toggle(metric) {
    const show = hidden.includes(metric);
    setHidden(show ? hidden.filter((each) => each !== metric) : [...hidden, metric]);
    plot.current?.toggle(metric, show);
  }
  /**
   * The next or previous time's values, said aloud.
   * @param {1|-1} way
   */
  function step(way) {
    const index = plot.current?.step(way);
    if (index === undefined) return;
    const values = metrics.filter((metric) => !hidden.includes(metric)).map((metric) => `${labelOf(metric)} ${typeof series.columns[metric].mean[index] === "number" ? quantity(metric, series.columns[metric].mean[index]) : "no value"}`);
    announce(`${at(series.times[index], zone)}: ${values.join(", ")}`);
  }
  /** @param {KeyboardEvent} event */
  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== event.currentTarget) return;
    const act = event.shiftKey && event.key.startsWith("Arrow") ? { ArrowLeft: () => step(-1), ArrowRight: () => step(1) }
      : { ArrowLeft: () => wanted(moved(view.current, -MOVE_STEP)), ArrowRight: () => wanted(moved(view.current, MOVE_STEP)),
        "+": () => wanted(zoomed(view.current, 1 / ZOOM_STEP)), "=": () => wanted(zoomed(view.current, 1 / ZOOM_STEP)),
        "-": () => wanted(zoomed(view.current, ZOOM_STEP)), "0": reset, Home: reset };
    const run = /** @type {Record<string, () => void>} */ (act)[event.key];
    if (run === undefined) return;
    event.preventDefault();
    run();
  }

  const tools = [
    ["Earlier", "M10 3 5 8l5 5", () => wanted(moved(view.current, -MOVE_STEP))], ["Later", "m6 3 5 5-5 5", () => wanted(moved(view.current, MOVE_STEP))],
    ["Show less time", "M8 3v10M3 8h10", () => wanted(zoomed(view.current, 1 / ZOOM_STEP))], ["Show more time", "M3 8h10", () => wanted(zoomed(view.current, ZOOM_STEP))],
    ["Back to the whole range", "M3 8a5 5 0 1 0 2-4M3 2v3h3", reset],
  ];
  const part = useMemo(() => within(series, seen.from, seen.to), [series, seen]);
  const none = answer !== null && metrics.every((metric) => lastOf(part.columns[metric].mean) < 0);
  const gaps = (answer?.gaps ?? []).filter((gap) => Date.parse(gap.to) > seen.from && Date.parse(gap.from) < seen.to);
  return html`<figure class="chart" aria-label=${label} aria-busy=${busy}>
    <div class="chart-head">
      <ul class="legend">${metrics.map((metric, index) => html`<li key=${metric}><button type="button" class="legend-item" aria-pressed=${!hidden.includes(metric)} onClick=${() => toggle(metric)}>
        <span class="legend-mark" style=${{ background: `var(${colourOf(index)})` }}></span>${labelOf(metric)}<${Reading} metric=${metric} series=${series} part=${part} under=${under} /></button></li>`)}</ul>
      <div class="chart-tools">${tools.map(([name, path, act]) => html`<button key=${name} type="button" class="icon-button" aria-label=${name} title=${name} onClick=${act}><svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d=${path} /></svg></button>`)}
        <button type="button" class="chart-file" onClick=${() => save(`${label}.csv`, new Blob([csv(part, metrics)], { type: "text/csv" }))}>CSV</button>
        <button type="button" class="chart-file" onClick=${() => picture(plot.current?.canvas(), label, metrics)}>PNG</button></div>
    </div>
    <p class="chart-under"><${Under} series=${series} gaps=${gaps} zone=${zone} seen=${seen} under=${under} /></p>
    ${failure !== null && html`<${Failed} error=${failure} retry=${() => loader.want(view.current, 0)} />`}
    <div class="chart-box" role="group" aria-roledescription="chart" tabindex="0" style=${{ minHeight: `${height / 16}rem` }} onKeyDown=${pressed}
      aria-label=${`${label}. Arrow keys move, plus and minus zoom, 0 goes back, Shift and arrow keys read values.`}>
      <div ref=${box}></div>${answer === null && failure === null && html`<span class="chart-wait bone"></span>`}
      ${none && gaps.length === 0 && html`<p class="chart-none soft">No readings in this range</p>`}
    </div>
    ${answer !== null && html`<${Words} part=${part} metrics=${metrics} gaps=${gaps} marks=${marks} zone=${zone} seen=${seen} />`}
  </figure>`;
}

/** @typedef {import("../vendor/preact.js").ReadonlySignal<import("./plot.js").Under|null>} Under */

/**
 * The value under the cursor, or the last one in view.
 * @param {{metric: string, series: import("./series.js").Series, part: import("./series.js").Series, under: Under}} props
 */
function Reading({ metric, series, part, under }) {
  const { mean, min, max } = (under.value === null ? part : series).columns[metric];
  const index = under.value?.index ?? lastOf(mean);
  const low = min[index];
  const spread = typeof low === "number" && low !== max[index] ? html`<span class="legend-spread">${figure(metric, low)} to ${figure(metric, max[index])}</span>` : null;
  return html`<span class="legend-value"><b>${figure(metric, mean[index])}</b> ${unitOf(metric)}</span>${spread}`;
}

/**
 * Where the clocks change within the range, times say by which they are.
 * @param {{series: import("./series.js").Series, gaps: Gap[], zone: string, seen: Span, under: Under}} props
 */
function Under({ series, gaps, zone, seen, under }) {
  const [first, last] = [zoneName(seen.from, zone), zoneName(seen.to, zone)];
  if (under.value === null) return html`<span class="soft">Latest · times in ${zone} (${first === last ? last : `${first}, then ${last}`})</span>`;
  const { index, time } = under.value;
  const gap = Object.values(series.columns).every(({ mean }) => typeof mean[index] !== "number") && gapAt(gaps, time);
  return html`<b>${at(time, zone)}</b>${first !== last && ` ${zoneName(time, zone)}`}${gap && html` <span class="chart-gap">no readings: ${gapReason(gap.reason)}</span>`}`;
}

/**
 * The same in words and as a table.
 * @param {{part: import("./series.js").Series, metrics: string[], gaps: Gap[], marks: import("./plot.js").Mark[], zone: string, seen: Span}} props
 */
function Words({ part, metrics, gaps, marks, zone, seen }) {
  const [open, setOpen] = useState(false);
  const noted = marks.filter(({ time }) => Date.parse(time) >= seen.from && Date.parse(time) <= seen.to);
  const sentences = metrics.map((metric) => {
    const found = summary(part, metric);
    return found === null ? `${labelOf(metric)}: no readings.` : `${labelOf(metric)}: ${quantity(metric, found.low)} to ${quantity(metric, found.high)}, last ${quantity(metric, found.last)}.`;
  });
  return html`<figcaption class="chart-words">
    <p class="unseen">${at(seen.from, zone)} to ${at(seen.to, zone)}. ${sentences.join(" ")} ${counted(gaps.length, "gap")}.</p>
    <details onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}><summary>As a table</summary>${open && html`<div class="chart-table" tabindex="0" role="region" aria-label="Values as a table">
      ${gaps.length > 0 && html`<ul>${gaps.map((gap) => html`<li key=${gap.from}>${at(gap.from, zone)}, for ${duration((msOf(gap.to) ?? 0) - (msOf(gap.from) ?? 0))}: ${gapReason(gap.reason)}</li>`)}</ul>`}
      ${noted.length > 0 && html`<ul>${noted.map((mark) => html`<li key=${mark.time}>${at(mark.time, zone)}: ${mark.label}</li>`)}</ul>`}
      <table><thead><tr><th scope="col">Time</th>${metrics.map((metric) => html`<th key=${metric} scope="col">${labelOf(metric)}${unitOf(metric) && `, ${unitOf(metric)}`}</th>`)}</tr></thead>
      <tbody>${thinned(part, TABLE_ROWS_MAX).map((index) => html`<tr key=${index}><th scope="row">${at(part.times[index], zone)}</th>${metrics.map((metric) => html`<td key=${metric}>${figure(metric, part.columns[metric].mean[index])}</td>`)}</tr>`)}</tbody></table>
    </div>`}</details>
  </figcaption>`;
}

/** @param {string} name @param {Blob} blob */
function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name.replace(/[^\w.-]+/g, "-");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * The chart on its ground with a title and the colours' names.
 * @param {HTMLCanvasElement|undefined} drawn
 * @param {string} label
 * @param {string[]} metrics
 */
function picture(drawn, label, metrics) {
  if (drawn === undefined) return;
  const ratio = devicePixelRatio;
  const head = 44 * ratio;
  const canvas = Object.assign(document.createElement("canvas"), { width: drawn.width, height: drawn.height + head });
  const paper = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  paper.fillStyle = token("--surface");
  paper.fillRect(0, 0, canvas.width, canvas.height);
  paper.font = `600 ${14 * ratio}px ${token("--font")}`;
  paper.fillStyle = token("--ink");
  paper.fillText(label, 12 * ratio, 18 * ratio);
  paper.font = `${12 * ratio}px ${token("--font")}`;
  let x = 12 * ratio;
  metrics.forEach((metric, index) => {
    const words = `${labelOf(metric)}${unitOf(metric) && `, ${unitOf(metric)}`}`;
    paper.fillStyle = token(colourOf(index));
    paper.fillText(words, x, 36 * ratio);
    x += paper.measureText(words).width + 16 * ratio;
  });
  paper.drawImage(drawn, 0, head);
  canvas.toBlob((blob) => blob !== null && save(`${label}.png`, blob));
}
