// One device: what it reads now, its past, its gaps, and what it is.

import { html, useEffect, useMemo, useState } from "../vendor/preact.js";
import { at, counted, duration, gapReason, msOf, quantity } from "../kit/format.js";
import { Age, Badge, Failed, Loading, Notice, Refused, Value, useStale } from "../kit/value.js";
import { toast, useTitle } from "../kit/shell.js";
import { get, send, useGet } from "../request.js";
import { isAdmin } from "../session.js";
import { useRoom } from "../live.js";
import { MEASURES, intervalS, isMeter, isVirtual, kindOf, leadingOf, metricsOf, qualityOf, staleAfterS, valueOf } from "../plant.js";

/** @typedef {import("../api").Device} Device */
/** @typedef {import("../api").Reading} Reading */
/** @typedef {import("../api").Gap} Gap */

/** Live readings kept for the chart's end; then the past is asked for anew. */
const TAIL_MAX = 900;
/** Late readings come in many frames; the chart is asked for anew after a pause. */
const SETTLE_MS = 3_000;

/** @param {{id: string, query: URLSearchParams}} props */
export default function DevicePage({ id, query }) {
  const found = useGet(`/devices/${encodeURIComponent(id)}`);
  /** @type {Device|null} */
  const device = found.data;
  const site = useGet(device === null ? null : `/sites/${device.site_id}`);
  useTitle(device?.device_name ?? null);
  if (device === null || (site.data === null && site.error === null)) {
    return found.error !== null ? html`<${Refused} error=${found.error} what="device" back=${html`<a href="/">Go to the sites</a>`} retry=${found.reload} />` : html`<${Loading} rows=${8} />`;
  }
  return html`<${Shown} device=${device} site=${site.data} reload=${found.reload} query=${query} />`;
}

/** @param {{device: Device, site: import("../api").Site|null, reload: () => void, query: URLSearchParams}} props */
function Shown({ device, site, reload, query }) {
  const zone = site?.timezone ?? "UTC";
  const { reading, tail, changes, gaps } = useReadings(device);
  const stale = useStale(reading?.timestamp, staleAfterS(device)).value;
  return html`<ul class="crumbs" aria-label="Where this is"><li><a href="/">Sites</a></li><li><a href=${`/sites/${device.site_id}`}>${site?.name ?? "Site"}</a></li></ul>
    <div class="page-head"><h1>${device.device_name}</h1>
      <div class="row"><${Badge}>${kindOf(device)}<//>${isVirtual(device) && html`<${Badge} kind="info" title="This device is simulated">virtual<//>`}
        ${device.status !== "active" && html`<${Badge} kind=${device.status === "error" ? "bad" : "warn"}>${device.status}<//>`}</div></div>
    <div class="stack">
      ${reading !== null && stale && html`<${Notice} kind="warn" title="No fresh reading">The last one is <${Age} time=${reading.timestamp} zone=${zone} />; one is due every ${duration(intervalS(device) * 1_000)}. What follows is the latest known.<//>`}
      <${Now} device=${device} reading=${reading} stale=${stale} zone=${zone} />
      ${reading !== null && html`<${Past} device=${device} zone=${zone} query=${query} reading=${reading} tail=${tail} changes=${changes} />`}
      <div class="grid about" style=${{ "--column": "24rem" }}>
        <${Identity} device=${device} reload=${reload} />
        <${Gaps} gaps=${gaps} zone=${zone} />
      </div>
    </div>`;
}

/**
 * The newest reading, those that came live, and how often the past has changed since.
 * @param {Device} device
 */
function useReadings(device) {
  const first = useGet(`/devices/${device.id}/readings?limit=1`);
  const gaps = useGet(`/devices/${device.id}/gaps?limit=20`);
  const [newest, setNewest] = useState(/** @type {Reading|null} */ (null));
  const [tail, setTail] = useState(/** @type {Reading[]} */ ([]));
  const [changes, setChanges] = useState(0);
  const [late, setLate] = useState(0);

  /** @param {Reading[]} readings */
  function took(readings) {
    const own = readings.filter(({ device_id }) => device_id === device.id).sort((one, other) => one.timestamp.localeCompare(other.timestamp));
    if (own.length === 0) return;
    setNewest((before) => (before !== null && before.timestamp > own[own.length - 1].timestamp ? before : own[own.length - 1]));
    setTail((before) => [...before, ...own.filter(({ timestamp }) => before.length === 0 || timestamp > before[before.length - 1].timestamp)]);
  }
  useEffect(() => {
    if (first.data !== null) took(first.data.readings);
  }, [first.data]);
  useEffect(() => {
    if (tail.length <= TAIL_MAX) return;
    setTail(tail.slice(-1));
    setChanges((count) => count + 1);
  }, [tail]);
  useEffect(() => {
    if (late === 0) return;
    const timer = setTimeout(() => setChanges((count) => count + 1), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [late]);

  useRoom(`device-${device.id}`, (frame) => {
    if (frame.type === "snapshot" || frame.type === "reading") took(frame.data.readings);
    if (frame.type === "status" && frame.data.backfilled.some(({ device_id }) => device_id === device.id)) setLate((count) => count + 1);
    if (frame.type === "gap") {
      gaps.reload();
      setLate((count) => count + 1);
    }
  }, async () => took((await get(`/devices/${device.id}/readings?limit=1`)).readings));
  return { reading: newest ?? /** @type {Reading|null} */ (first.data?.readings[0] ?? null), tail, changes, gaps };
}

/** @param {{device: Device, reading: Reading|null, stale: boolean, zone: string}} props */
function Now({ device, reading, stale, zone }) {
  const leading = reading === null ? [] : leadingOf(reading);
  const others = reading === null ? [] : metricsOf(reading).filter((metric) => !leading.includes(metric));
  /** @param {Reading} from @param {string} metric @param {"m"|"xl"} size */
  const value = (from, metric, size) => html`<${Value} key=${metric} label size=${size} metric=${metric} value=${valueOf(from, metric)} quality=${qualityOf(from, metric)} zone=${zone}
    time=${stale ? from.timestamp : undefined} staleAfterS=${staleAfterS(device)} reason="not measured" />`;
  return html`<section class="card stack" aria-labelledby="now">
    <div class="card-head"><h2 id="now">${stale ? "Latest known" : "Now"}</h2>
      ${reading !== null && html`<span class="row"><${Age} time=${reading.timestamp} staleAfterS=${staleAfterS(device)} zone=${zone} /><span class="soft small">${at(reading.timestamp, zone, "full")}</span>
        ${reading.time_uncertainty_s !== undefined && html`<${Badge} kind="warn" title="The gateway's clock was not trusted">± ${duration(reading.time_uncertainty_s * 1_000)}<//>`}</span>`}</div>
    ${reading === null ? html`<p class="soft">No reading has arrived yet.</p>` : html`<div class="values now-first">${leading.map((metric) => value(reading, metric, "xl"))}</div>
      ${others.length > 0 && html`<div class="values">${others.map((metric) => value(reading, metric, "m"))}</div>`}`}
  </section>`;
}

/**
 * The chart's code comes when the values are there.
 * @param {{device: Device, zone: string, query: URLSearchParams, reading: Reading, tail: Reading[], changes: number}} props
 */
function Past({ device, zone, query, reading, tail, changes }) {
  const [History, setHistory] = useState(/** @type {{of: import("../vendor/preact.js").Component}|null} */ (null));
  const [failure, setFailure] = useState(/** @type {unknown} */ (null));
  useEffect(() => {
    import("./history.js").then((module) => setHistory({ of: module.History }), setFailure);
  }, []);
  const metrics = useMemo(() => [...new Set([...leadingOf(reading), ...metricsOf(reading)])], [reading]);
  const marks = useMemo(() => (device.last_maintenance === null ? [] : [{ time: device.last_maintenance, label: "maintenance" }]), [device.last_maintenance]);
  if (failure !== null) return html`<${Failed} title="The chart could not be loaded" error=${failure} retry=${() => location.reload()} />`;
  if (History === null) return html`<section class="card"><h2>History</h2><${Loading} rows=${7} /></section>`;
  return html`<${History.of} device=${device} zone=${zone} query=${query} metrics=${metrics} tail=${tail} changes=${changes} marks=${marks} />`;
}

/** @param {{device: Device, reload: () => void}} props */
function Identity({ device, reload }) {
  const unknown = /** @type {string[]} */ (Array.isArray(device.metadata.unknown) ? device.metadata.unknown : []);
  /** @param {string} field @param {any} value */
  const said = (field, value) => (unknown.includes(field) || value === null || value === undefined ? html`<span class="soft">not known</span>` : value);
  return html`<section class="card stack" aria-labelledby="identity"><h2 id="identity">What it is</h2>
    <dl class="pairs">
      <dt>Manufacturer</dt><dd>${said("manufacturer", device.manufacturer)}</dd>
      <dt>Model</dt><dd>${said("model", device.model)}</dd>
      <dt>Serial number</dt><dd class="any">${said("serial_number", device.serial_number)}</dd>
      <dt>Rated power</dt><dd>${said("capacity_kw", device.capacity_kw === 0 ? null : quantity("power_output_kw", device.capacity_kw))}</dd>
      <dt>Firmware</dt><dd>${said("firmware_version", device.firmware_version)}</dd>
      <dt>Installed</dt><dd>${said("installation_date", device.installation_date)}</dd>
      <dt>Read every</dt><dd>${said("interval_s", device.interval_s === null ? null : duration(intervalS(device) * 1_000))}</dd>
      <dt>At the gateway</dt><dd class="any mono">${said("key", device.key)}</dd>
      <dt>Profile</dt><dd class="any mono">${said("profile", device.metadata.profile)}</dd>
      ${isMeter(device) && html`<dt>Measures</dt><dd><${Measures} device=${device} reload=${reload} /></dd>`}
    </dl>
    ${device.pending_gateway_id !== null && html`<${Notice} kind="warn" title="Another gateway announces this device too">Until an administrator confirms the move, the readings wait there.<//>`}
  </section>`;
}

/**
 * Where a meter stands decides what the site's diagram makes of it; only a person knows.
 * @param {{device: Device, reload: () => void}} props
 */
function Measures({ device, reload }) {
  const said = /** @type {keyof typeof MEASURES} */ (device.metadata.measures);
  if (!isAdmin()) return MEASURES[said] ?? html`<span class="soft">not known</span>`;
  /** @param {string} measures */
  async function choose(measures) {
    try {
      const latest = await get(`/devices/${device.id}`);
      const { measures: _, ...metadata } = latest.metadata;
      await send("PUT", `/devices/${device.id}`, { metadata: measures === "" ? metadata : { ...metadata, measures } });
      toast("Saved");
      reload();
    } catch (error) {
      toast(error instanceof Error ? error.message : String(error), "bad");
    }
  }
  return html`<select class="input" aria-label="What this meter measures" value=${said ?? ""} onChange=${(/** @type {any} */ event) => choose(event.currentTarget.value)}>
    <option value="">not known</option>${Object.entries(MEASURES).map(([word, meaning]) => html`<option key=${word} value=${word}>${meaning}</option>`)}</select>`;
}

/** @param {{gaps: {data: any, error: unknown, reload: () => void}, zone: string}} props */
function Gaps({ gaps, zone }) {
  /** @type {Gap[]} */
  const rows = gaps.data?.gaps ?? [];
  return html`<section class="card stack" aria-labelledby="gaps"><h2 id="gaps">Gaps</h2>
    ${gaps.error !== null ? html`<${Failed} error=${gaps.error} retry=${gaps.reload} />` : gaps.data === null ? html`<${Loading} />`
    : rows.length === 0 ? html`<p class="soft">None is known. What a gateway had to give up stands here, with the reason.</p>`
    : html`<ul class="facts">${rows.map((gap) => html`<li key=${gap.from}><b>${at(gap.from, zone)}</b> for ${duration((msOf(gap.to) ?? 0) - (msOf(gap.from) ?? 0))}
        <span class="under">${gapReason(gap.reason)}${gap.rows !== null && `, ${counted(gap.rows, "reading")}`}</span></li>`)}</ul>`}
  </section>`;
}
