// The buses: how busy each one is, which device on it is sick, and what to do about it.

import { html } from "../vendor/preact.js";
import { useTitle } from "../kit/shell.js";
import { Table } from "../kit/table.js";
import { Age, Badge, Empty } from "../kit/value.js";
import { NOTHING, counted, number, percent } from "../kit/format.js";
import { gateway } from "../gateway.js";

/** @typedef {import("../gateway.js").Bus} Bus */
/** @typedef {import("../gateway.js").Unit} Unit */
/** @typedef {import("../gateway.js").Kind} Kind */

/** Above this, a poll that takes longer than usual makes the next one late. */
const BUSY = 0.8;
/** Below this load, a tenth of a per cent tells something. */
const FINE_BELOW = 0.1;
/** @type {Record<string, [kind: Kind, word: string]>} */
const CONDITIONS = {
  ok: ["good", "well"], partly: ["warn", "partly silent"], silent: ["bad", "silent"], lost: ["bad", "not connected"], waiting: ["quiet", "connecting"], empty: ["quiet", "empty"],
};
/** @type {Record<string, Kind>} */
const UNITS = { ok: "good", waiting: "quiet" };
/** @type {Record<string, string>} */
const KINDS = { tcp: "Modbus TCP", rtu: "serial line (Modbus RTU)", "rtu-tcp": "Modbus RTU over TCP" };

/** @type {import("../kit/table.js").Column<Unit>[]} */
const COLUMNS = [
  { key: "device", label: "Device", head: true, cell: (unit) => html`<a href=${`/devices/${unit.device}`}>${unit.device}</a>` },
  { key: "unit", label: "Unit", number: true, cell: (unit) => unit.unit },
  { key: "state", label: "State", cell: (unit) => html`<${Badge} kind=${UNITS[unit.condition] ?? "bad"}>${unit.state}<//>` },
  { key: "polls", label: "Answered polls", number: true, cell: (unit) => `${number(unit.ok)} of ${number(unit.polls)}` },
  { key: "trip", label: "Round trip", number: true, cell: (unit) => (unit.ok === 0 ? NOTHING : `${number(unit.round_trip_ms, 1)}\u00a0ms`) },
  { key: "answer", label: "Last answer", cell: (unit) => html`<${Age} time=${unit.ok_ms} />` },
];

/** @param {Unit} unit */
const names = (unit) => unit.refused_registers.flatMap((refused) => refused.names);
/** @param {number} ratio */
const share = (ratio) => percent(ratio, ratio < FINE_BELOW ? 1 : 0);

/** @param {{unit: Unit}} props */
function Remedies({ unit }) {
  return html`${unit.errors.map(({ outcome, count, meaning, remedy }) => html`<li key=${outcome}><strong>${unit.device}: ${meaning}</strong>, ${counted(count, "time")} since the start: ${remedy}.</li>`)}
    ${unit.last_error !== null && html`<li class="soft">${unit.device}, last error <${Age} time=${unit.error_ms} />: ${unit.last_error}</li>`}
    ${unit.overruns > 0 && html`<li><strong>${unit.device}: ${counted(unit.overruns, "poll")} left out</strong>, the bus was busy: mend what is silent on it, or ask less often.</li>`}
    ${unit.dropped > 0 && html`<li><strong>${unit.device}: ${counted(unit.dropped, "reading")} dropped</strong>, the recorder was behind: look at the gateway's disk.</li>`}
    ${unit.refused_registers.length > 0 && html`<li><strong>${unit.device}: refuses</strong>${names(unit).map((name) => html` <span class="mono">${name}</span>`)}, left out: check that the profile fits the device.</li>`}`;
}

/** @param {{bus: Bus}} props */
function BusCard({ bus }) {
  const [kind, word] = CONDITIONS[bus.condition] ?? ["quiet", bus.condition];
  const troubled = bus.units.filter((unit) => unit.errors.length > 0 || unit.overruns > 0 || unit.dropped > 0 || unit.refused_registers.length > 0);
  return html`<section class="card"><div class="card-head"><h2>${bus.id}</h2><${Badge} kind=${kind}>${word}<//></div>
    <p class=${kind === "bad" ? "trouble" : undefined}>${bus.state}</p>
    <p class="soft">${KINDS[bus.kind] ?? bus.kind}, <span class="mono">${bus.target}</span>${bus.connections > 1 && `, connected ${number(bus.connections)} times`}</p>
    <div class="load"><span>Load</span><meter min="0" max="1" high=${BUSY} optimum="0" value=${bus.load} aria-label=${`Load of ${bus.id}`}></meter><b>${share(bus.load)}</b><span class="soft">planned ${share(bus.planned_load)}</span></div>
    <${Table} caption=${`Devices on ${bus.id}`} columns=${COLUMNS} rows=${bus.units} rowKey=${(/** @type {Unit} */ { device }) => device} />
    ${troubled.length + bus.troubles.length > 0 && html`<ul class="remedies">${bus.troubles.map(({ kind: of, meaning, remedy }) => html`<li key=${of}><strong>${meaning}</strong>: ${remedy}.</li>`)}${troubled.map((unit) => html`<${Remedies} key=${unit.device} unit=${unit} />`)}</ul>`}</section>`;
}

export default function Buses() {
  const { site, buses } = gateway.value;
  useTitle(`Buses · ${site.name}`);
  return html`<div class="page-head"><h1>Buses</h1></div>
    ${buses.length === 0 ? html`<${Empty} title="No buses">They are named in edge.toml.<//>` : html`<div class="stack">${buses.map((bus) => html`<${BusCard} key=${bus.id} bus=${bus} />`)}</div>`}`;
}
