// One device: every value with its quality, its last hours, what it is, and what it refuses.

import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { Menu, goQuery, useTitle } from "../kit/shell.js";
import { Badge, Failed, Loading, now, useStale } from "../kit/value.js";
import { NOTHING, figure, labelOf, qualityMeaning, qualityWord, unitOf } from "../kit/format.js";
import { gateway, get } from "../gateway.js";
import { DeviceAge, DeviceBadge, MainValues, staleAfterS } from "./reading.js";

/** @typedef {import("../gateway.js").Device} Device */
/** @typedef {import("../gateway.js").Measured} Measured */

const HOUR_MS = 3_600_000;
const SPANS = [{ hours: "1", label: "1 h" }, { hours: "6", label: "6 h" }, { hours: "24", label: "24 h" }, { hours: "168", label: "7 days" }];
/** More lines than this nobody tells apart. */
const METRICS_MAX = 4;
/** Live readings that are kept behind those that were loaded. */
const TAIL_MAX = 1_000;

/**
 * Readings that came while the page was open, as windows for the chart.
 * @param {Device} device
 * @param {string[]} metrics
 */
function useTail(device, metrics) {
  const tail = useRef(/** @type {import("../kit/series.js").Bucket[]} */ ([]));
  const names = metrics.join();
  useMemo(() => (tail.current = []), [names]);
  return useMemo(() => {
    const time = device.timestamp;
    if (time === null) return tail.current;
    const buckets = metrics.map((metric) => {
      const value = device.values.find((measured) => measured.metric === metric)?.value ?? null;
      return { metric, start: time, end: time, min: value, max: value, mean: value };
    });
    return (tail.current = [...tail.current, ...buckets].slice(-TAIL_MAX));
  }, [device.timestamp, names]);
}

/** @param {{device: Device, query: URLSearchParams}} props */
function History({ device, query }) {
  const { timezone } = gateway.value.site;
  const hours = SPANS.find((span) => span.hours === query.get("hours"))?.hours ?? SPANS[0].hours;
  const has = device.values.map(({ metric }) => metric);
  const asked = (query.get("metric") ?? "").split(",").filter((metric) => has.includes(metric)).slice(0, METRICS_MAX);
  const metrics = asked.length > 0 ? asked : device.main.slice(0, 1);
  const from = useMemo(() => now.peek() - Number(hours) * HOUR_MS, [hours]);
  const tail = useTail(device, metrics);
  const [chart, setChart] = useState(/** @type {{Chart: import("../vendor/preact.js").Component}|null} */ (null));
  const [failure, setFailure] = useState(/** @type {unknown} */ (null));
  const load = () => {
    setFailure(null);
    import("../kit/chart.js").then(setChart, setFailure);
  };
  useEffect(load, []);

  /** @param {{from: number, to: number, points: number}} range @param {AbortSignal} stop */
  const read = async (range, stop) => {
    const span = `from=${new Date(range.from).toISOString()}&to=${new Date(range.to).toISOString()}&points=${range.points}`;
    const { buckets } = await get(`/api/devices/${device.id}/readings/aggregated?metric=${metrics.join()}&${span}`, stop);
    return { buckets, gaps: [] };
  };
  /** @param {string} metric @param {boolean} shown */
  const choose = (metric, shown) => {
    const chosen = shown ? [...metrics, metric] : metrics.filter((each) => each !== metric);
    goQuery({ metric: chosen.length > 0 ? chosen.join() : null });
  };
  if (metrics.length === 0) return html`<p class="soft">Nothing was read of this device since the gateway's start.</p>`;
  return html`<div class="row side-head"><div class="segments" role="group" aria-label="Span">
      ${SPANS.map((span) => html`<button key=${span.hours} type="button" aria-pressed=${span.hours === hours} onClick=${() => goQuery({ hours: span.hours })}>${span.label}</button>`)}</div>
    <${Menu} label="Values"><fieldset class="choices"><legend class="unseen">Values in the chart</legend>${has.map((metric) => html`<label key=${metric}><input type="checkbox" checked=${metrics.includes(metric)}
      disabled=${!metrics.includes(metric) && metrics.length === METRICS_MAX} onChange=${(/** @type {any} */ event) => choose(metric, event.currentTarget.checked)} />${labelOf(metric)}</label>`)}</fieldset><//></div>
    ${failure !== null ? html`<${Failed} error=${failure} title="The chart could not be loaded" retry=${load} />` : chart === null ? html`<${Loading} rows=${8} label="Loading the chart" />`
      : html`<${chart.Chart} label=${`History of ${device.id}`} metrics=${metrics} zone=${timezone} from=${from} to=${null} load=${read} tail=${tail} />`}`;
}

/** @param {{device: Device}} props */
function About({ device }) {
  const unit = gateway.value.buses.find(({ id }) => id === device.bus)?.units.find((each) => each.device === device.id);
  const refused = (unit?.refused_registers ?? []).map(({ start, count }) => (count === 1 ? `${start}` : `${start} to ${start + count - 1}`));
  const told = { manufacturer: device.manufacturer, model: device.model, ...device.identity };
  return html`<section class="card"><h2 class="side-head">What it is</h2><dl class="pairs">
    ${Object.entries(told).map(([name, text]) => html`<dt key=${name}>${labelOf(name)}</dt><dd>${text}</dd>`)}
    <dt>Type</dt><dd>${device.device_type}</dd><dt>Profile</dt><dd>${device.profile}</dd>
    <dt>Bus and unit</dt><dd><a href="/buses">${device.bus}</a>, unit ${device.unit}</dd><dt>Asked every</dt><dd>${device.interval_s} s</dd>
    <dt>Registers left out</dt><dd>${refused.length === 0 ? "none" : `${refused.join(", ")}: the device refuses them`}</dd></dl></section>`;
}

/** @param {{measured: Measured}} props */
function Figure({ measured: { metric, value, quality } }) {
  const text = figure(metric, value);
  return html`<tr><th scope="row" title=${metric}>${labelOf(metric)}</th><td class="number"><b class="value-figure">${text}${text !== NOTHING && unitOf(metric) !== "" && html`<span class="unit">\u00a0${unitOf(metric)}</span>`}</b></td>
    <td>${quality === "ok" ? html`<span class="soft">ok</span>` : html`<${Badge} kind="warn" title=${qualityMeaning(quality)}>${qualityWord(quality)}<//>`}</td></tr>`;
}

/** @param {{device: Device, query: URLSearchParams}} props */
function Shown({ device, query }) {
  const stale = useStale(device.read_ms, staleAfterS(device)).value;
  return html`<div class="page-head"><h1>${device.id}</h1><${DeviceBadge} device=${device} /><${DeviceAge} device=${device} /></div>
    ${device.condition !== "ok" && html`<p class="trouble">${device.state}</p>`}
    <div class="sides"><section class=${stale ? "stack late" : "stack"}>
        ${device.values.length === 0 ? html`<div class="card"><p>No values yet.</p></div>` : html`<div class="card device"><h2 class="unseen">Main values</h2><${MainValues} device=${device} /></div>
        <div class="card"><table class="figures"><caption class="unseen">All values</caption>
          <thead><tr><th scope="col">Value</th><th scope="col" class="number">Now</th><th scope="col">Quality</th></tr></thead>
          <tbody>${device.values.map((measured) => html`<${Figure} key=${measured.metric} measured=${measured} />`)}</tbody></table></div>`}
      </section>
      <div class="stack"><section class="card"><h2 class="side-head">History</h2><${History} device=${device} query=${query} /></section><${About} device=${device} /></div></div>`;
}

/** @param {{id: string, query: URLSearchParams}} props */
export default function DevicePage({ id, query }) {
  const { site, devices } = gateway.value;
  const device = devices.find((each) => each.id === id);
  useTitle(`${id} · ${site.name}`);
  if (device === undefined) return html`<h1>Not found</h1><p>There is no device ${id} at this site. <a href="/devices">All devices</a></p>`;
  return html`<${Shown} device=${device} query=${query} />`;
}
