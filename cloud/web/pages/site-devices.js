// A site's devices: main values, age, quality, and the last hour as a line.

import { html, useEffect, useState } from "../vendor/preact.js";
import { labelOf, msOf } from "../kit/format.js";
import { Age, Badge, Empty, Loading, Value, now } from "../kit/value.js";
import { Table } from "../kit/table.js";
import { Spark } from "../kit/spark.js";
import { get } from "../request.js";
import { isVirtual, kindOf, leadingOf, qualityOf, staleAfterS, valueOf } from "../plant.js";

/** @typedef {import("../api").Device} Device */
/** @typedef {import("../api").Reading} Reading */
/** @typedef {{time: number, value: number|null}[]} Points */

const HOUR_MS = 3_600_000;
const POINTS = 60;
const MINUTE_MS = 60_000;
const AGAIN_MS = 5 * MINUTE_MS;
/** More lines are not asked for. */
const LINES_MAX = 40;
/** Windows further apart have a hole between them. */
const HOLE_MS = 3 * MINUTE_MS;

/** @param {{devices: Device[]|null, latest: Map<string, Reading>, zone: string, lost: boolean}} props `lost`: the site is not heard */
export function Devices({ devices, latest, zone, lost }) {
  const hour = useHour(devices ?? [], latest);
  if (devices === null) return html`<section class="card"><h2>Devices</h2><${Loading} rows=${5} /></section>`;
  const columns = columnsOf(latest, hour, zone, lost);
  return html`<section class="stack" aria-labelledby="devices"><h2 id="devices">Devices</h2>
    <${Table} caption="Devices" columns=${columns} rows=${devices} rowKey=${(/** @type {Device} */ device) => device.id} order="name"
      empty=${html`<${Empty} title="No device yet">The gateway announces its devices by itself.<//>`} /></section>`;
}

/**
 * @param {Map<string, Reading>} latest
 * @param {Map<string, Points>} hour
 * @param {string} zone
 * @param {boolean} lost
 * @returns {import("../kit/table.js").Column<Device>[]}
 */
const columnsOf = (latest, hour, zone, lost) => [
  { key: "name", label: "Device", head: true, sort: (device) => device.device_name,
    cell: (device) => html`<a href=${`/devices/${device.id}`}>${device.device_name}</a><span class="under">${kindOf(device)}${isVirtual(device) && ", virtual"}</span>` },
  { key: "values", label: "Values", cell: (device) => html`<${Leading} device=${device} reading=${latest.get(device.id)} />` },
  { key: "age", label: "Newest", sort: (device) => msOf(latest.get(device.id)?.timestamp), cell: (device) => html`<${Age} time=${latest.get(device.id)?.timestamp} staleAfterS=${latest.has(device.id) ? staleAfterS(device) : undefined} zone=${zone} />` },
  { key: "state", label: "State", sort: (device) => (device.status === "active" ? 0 : 1), cell: (device) => html`<${State} device=${device} reading=${latest.get(device.id)} lost=${lost} />` },
  { key: "hour", label: "Last hour", cell: (device) => html`<${Hour} reading=${latest.get(device.id)} points=${hour.get(device.id)} />` },
];

/** @param {{device: Device, reading: Reading|undefined}} props */
function Leading({ device, reading }) {
  if (reading === undefined) return html`<span class="soft">no reading yet</span>`;
  const stale = now.value - Date.parse(reading.timestamp) > staleAfterS(device) * 1_000;
  return html`<span class=${stale ? "leading stale" : "leading"}>${leadingOf(reading).map((metric) => html`<${Value} key=${metric} label metric=${metric} value=${valueOf(reading, metric)} quality=${qualityOf(reading, metric)} />`)}</span>`;
}

/** @param {{device: Device, reading: Reading|undefined, lost: boolean}} props */
function State({ device, reading, lost }) {
  if (device.pending_gateway_id !== null) return html`<${Badge} kind="warn" title="Another gateway announces this device too">to be moved<//>`;
  if (device.status !== "active") return html`<${Badge} kind=${device.status === "error" ? "bad" : "warn"}>${device.status}<//>`;
  if (reading === undefined) return html`<${Badge}>waiting<//>`;
  if (now.value - Date.parse(reading.timestamp) > staleAfterS(device) * 1_000) return lost ? html`<${Badge} title="The link to the site is lost; the device may be well">not heard<//>` : html`<${Badge} kind="bad" title="Three readings and more are missing">silent<//>`;
  const doubtful = Object.keys(reading.quality).length;
  return doubtful > 0 ? html`<${Badge} kind="warn">${doubtful} doubtful<//>` : html`<${Badge} kind="good">ok<//>`;
}

/** @param {{reading: Reading|undefined, points: Points|undefined}} props */
function Hour({ reading, points }) {
  if (reading === undefined || points === undefined) return null;
  const metric = leadingOf(reading)[0];
  const to = Math.max(...points.map(({ time }) => time), 0);
  return html`<span title=${labelOf(metric)}><${Spark} metric=${metric} points=${points} from=${to - HOUR_MS} to=${to} maxGapMs=${HOLE_MS} width=${140} height=${30} /></span>`;
}

/**
 * Each device's first value over the last hour, asked for one after the other and again from time to time.
 * @param {Device[]} devices
 * @param {Map<string, Reading>} latest
 */
function useHour(devices, latest) {
  const [hour, setHour] = useState(/** @type {Map<string, Points>} */ (new Map()));
  const wanted = devices.filter(({ id }) => latest.has(id)).slice(0, LINES_MAX);
  useEffect(() => {
    const left = new AbortController();
    const load = async () => {
      for (const device of wanted) {
        const [metric] = leadingOf(/** @type {Reading} */ (latest.get(device.id)));
        if (metric === undefined || left.signal.aborted) continue;
        const from = new Date(now.peek() - HOUR_MS).toISOString();
        const answer = await get(`/readings/aggregated?device_id=${device.id}&metric=${metric}&from=${from}&points=${POINTS + 2}`, { signal: left.signal }).catch(() => null);
        if (answer === null || left.signal.aborted) continue;
        const points = answer.buckets.map((/** @type {import("../api").Bucket} */ { start, mean }) => ({ time: Date.parse(start), value: mean }));
        setHour((before) => new Map(before).set(device.id, points));
      }
    };
    load();
    const timer = setInterval(load, AGAIN_MS);
    return () => {
      left.abort();
      clearInterval(timer);
    };
  }, [wanted.map(({ id }) => id).join()]);
  return hour;
}
