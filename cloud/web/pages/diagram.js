// The site as a single line: water, turbines, bus, and what is joined to it, with the direction and power of each flow.
// The lines are pictures; whoever does not see them gets the same as sentences.

import { html } from "../vendor/preact.js";
import { labelOf, quantity } from "../kit/format.js";
import { Badge, Value } from "../kit/value.js";
import { qualityOf, staleAfterS, valueOf } from "../plant.js";

/** @typedef {import("../plant.js").Plant} Plant */
/** @typedef {import("../plant.js").Flow} Flow */
/** @typedef {import("../vendor/preact.js").Children} Children */

/** Less is no flow: instruments are never quite still. */
const STILL_KW = 0.02;
const KW = "power_output_kw";

/** @param {number|null} kw @param {string} towards @param {string} from */
const way = (kw, towards, from) => (kw === null ? "unknown" : Math.abs(kw) < STILL_KW ? "idle" : kw > 0 ? towards : from);

/**
 * @param {{plant: Plant, capacity: number, zone: string}} props `capacity` in kW gives the lines their width
 */
export function Diagram({ plant, capacity, zone }) {
  const { water, turbines, batteries, grid, meters, load } = plant;
  return html`<div class="diagram">
    <div class="plant-water"><${Card} kind="river" name="River">
      ${water.length === 0 ? html`<p class="soft small">no sensor in the water</p>` : water.map(({ metric, value, device, reading }) => html`<${Value} key=${metric} label=${labelOf(metric)} size=${metric === water[0].metric ? "l" : "m"} metric=${metric} value=${value}
        quality=${qualityOf(reading, metric)} time=${reading.timestamp} staleAfterS=${staleAfterS(device)} zone=${zone} />`)}
    <//></div>
    <ul class="plant-sources">
      ${turbines.length === 0 && html`<li><${Card} kind="turbine" name="Turbine"><p class="soft small">no turbine is known</p><//></li>`}
      ${turbines.map((flow) => html`<li key=${flow.device.id}><${Line} kw=${flow.fresh && water.length > 0 ? flow.kw : null} capacity=${capacity} water />
        <${DeviceCard} flow=${flow} kind="turbine" zone=${zone} said=${way(flow.kw, "generating", "consuming")} />
        <${Line} kw=${flow.kw} capacity=${capacity} /></li>`)}
    </ul>
    <div class="plant-bus"><span>Bus</span>${meters.map((meter) => html`<a key=${meter.device.id} class="plant-meter" href=${`/devices/${meter.device.id}`}>${meter.device.device_name} <b>${quantity(KW, meter.kw)}</b></a>`)}</div>
    <ul class="plant-others">
      ${batteries.map((flow) => html`<li key=${flow.device.id}><${Line} kw=${flow.kw} capacity=${capacity} back />
        <${DeviceCard} flow=${flow} kind="battery" zone=${zone} said=${way(flow.kw, "discharging", "charging")} /></li>`)}
      <li><${Line} kw=${load.kw === null ? null : -load.kw} capacity=${capacity} back /><${LoadCard} load=${load} /></li>
      ${grid.map((flow) => html`<li key=${flow.device.id}><${Line} kw=${flow.kw} capacity=${capacity} back />
        <${DeviceCard} flow=${flow} kind="grid" zone=${zone} said=${way(flow.kw, "delivering", "taking")} /></li>`)}
      ${grid.length === 0 && load.by !== "balance with grid" && html`<li><${Line} kw=${null} capacity=${capacity} back /><${Card} kind="grid" name="Grid"><p class="soft small">no meter stands there</p><//></li>`}
    </ul>
    <p class="unseen">${sentences(plant).join(" ")}</p>
  </div>`;
}

const MARKS = {
  river: "M2 7q3-3 6 0t6 0 6 0M2 12q3-3 6 0t6 0 6 0M2 17q3-3 6 0t6 0 6 0",
  turbine: "M11 11V2q5 1 4 6zM11 11l8 5q-4 4-8 0zM11 11l-8 5q-1-6 4-7z", battery: "M3 7h14v9H3zM17 10h2v3h-2M7 11.5h6M10 8.5v6",
  load: "M3 10 11 3l8 7M5 9v9h12V9M9 18v-5h4v5", grid: "M7 20 11 2l4 18M8.5 13h5M5 7h12M4 7v2M18 7v2",
};

/** @param {{kind: keyof typeof MARKS, name: Children, href?: string, children?: Children}} props */
const Card = ({ kind, name, href, children }) => html`<div class=${`plant-card ${kind}`}>
  <h3><svg class="plant-mark" viewBox="0 0 22 22" width="20" height="20" aria-hidden="true"><path d=${MARKS[kind]} /></svg>${href === undefined ? name : html`<a href=${href}>${name}</a>`}</h3>${children}</div>`;

/** @param {{flow: Flow, kind: "turbine"|"battery"|"grid", zone: string, said: string}} props */
function DeviceCard({ flow: { device, reading, fresh, kw }, kind, zone, said }) {
  const level = valueOf(reading, "battery_level_percent");
  const power = valueOf(reading, KW);
  return html`<${Card} kind=${kind} name=${device.device_name} href=${`/devices/${device.id}`}>
    <${Value} size="l" metric=${KW} value=${power === null ? null : kind === "turbine" ? power : Math.abs(power)} quality=${qualityOf(reading, KW)} reason=${reading === undefined ? "no reading yet" : "not measured"}
      time=${fresh ? undefined : reading?.timestamp} staleAfterS=${staleAfterS(device)} zone=${zone} />
    <span class="soft small">${kw === null ? null : said}</span>
    ${kind === "battery" && html`<${Value} metric="battery_level_percent" value=${level} quality=${qualityOf(reading, "battery_level_percent")} reason="charge not measured" />
      ${level !== null && html`<meter class="plant-level" min="0" max="100" value=${level} aria-label=${`Charge of ${device.device_name}`}></meter>`}`}
  <//>`;
}

/** @param {{load: Plant["load"]}} props */
function LoadCard({ load }) {
  if (load.by === "meter") return html`<${Card} kind="load" name="Load"><${Value} size="l" metric=${KW} value=${load.kw} reason="no fresh reading" /><span class="soft small">measured</span><//>`;
  if (load.by === "unknown") return html`<${Card} kind="load" name="Load"><p class="soft small">unknown: not every source is measured now</p><//>`;
  const together = load.by === "balance with grid";
  return html`<${Card} kind="load" name=${together ? "Load and grid" : "Load"}><${Value} size="l" metric=${KW} value=${load.kw} /><span class="soft small"><${Badge} title="Turbines and batteries, added up">computed<//>${together && " no meter stands at the grid"}</span><//>`;
}

/**
 * A line whose dashes go the way of the power, wider with more; dotted where nobody knows.
 * @param {{kw: number|null, capacity: number, back?: boolean, water?: boolean}} props
 *   positive is to the right, with `back` to the left: towards the bus. `water` is what comes from the river.
 */
function Line({ kw, capacity, back = false, water = false }) {
  const still = kw === null || Math.abs(kw) < STILL_KW;
  const left = !still && (Number(kw) < 0) !== back;
  const width = still ? 1.5 : 2 + 5 * Math.min(1, Math.abs(Number(kw)) / (capacity || Math.abs(Number(kw))));
  return html`<svg class=${`plant-line${water ? " water" : ""}${kw === null ? " unknown" : still ? " still" : " moving"}${left ? " left" : ""}`} height="28" aria-hidden="true">
    <line x1="0" y1="14" x2="100%" y2="14" style=${{ strokeWidth: `${width}px` }} />${!still && html`<line class="dash" x1="0" y1="14" x2="100%" y2="14" style=${{ strokeWidth: `${width}px` }} />
      <svg x="50%" y="14" overflow="visible"><path class="head" d=${left ? "M6-8-6 0 6 8z" : "M-6-8 6 0-6 8z"} /></svg>`}</svg>`;
}

/**
 * What the picture shows.
 * @param {Plant} plant
 */
export function sentences({ water, turbines, batteries, grid, meters, load }) {
  const kw = (/** @type {number|null} */ value) => quantity(KW, value === null ? null : Math.abs(value));
  const told = (/** @type {Flow} */ flow, /** @type {string} */ towards, /** @type {string} */ from) =>
    `${flow.device.device_name}: ${flow.kw === null ? "power unknown" : `${way(flow.kw, towards, from)}${Math.abs(flow.kw) < STILL_KW ? "" : ` ${kw(flow.kw)}`}`}.`;
  return [
    ...water.map(({ metric, value }) => `River, ${labelOf(metric).toLowerCase()}: ${quantity(metric, value)}.`),
    ...turbines.map((flow) => told(flow, "delivers", "takes")),
    ...batteries.map((flow) => `${told(flow, "discharges with", "charges with")} Charge ${quantity("battery_level_percent", valueOf(flow.reading, "battery_level_percent"))}.`),
    ...grid.map((flow) => told(flow, "delivers", "takes")),
    ...meters.map((flow) => `${flow.device.device_name}: ${kw(flow.kw)}.`),
    load.kw === null ? "Load: unknown." : load.by === "meter" ? `Load: ${kw(load.kw)}, measured.` : `${load.by === "balance" ? "Load" : "Load and grid together"}: ${quantity(KW, load.kw)}, computed.`,
  ];
}
