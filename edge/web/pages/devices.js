// All devices to compare: what each one is, where it is, and whether it answers.

import { html } from "../vendor/preact.js";
import { useTitle } from "../kit/shell.js";
import { Table } from "../kit/table.js";
import { Empty, Value } from "../kit/value.js";
import { gateway } from "../gateway.js";
import { DeviceBadge, staleAfterS } from "./reading.js";

/** @typedef {import("../gateway.js").Device} Device */

/** @param {Device} device */
function reads(device) {
  const measured = device.values.find(({ metric }) => metric === device.main[0]);
  return measured && html`<${Value} metric=${measured.metric} value=${measured.value} quality=${measured.quality} time=${device.read_ms} staleAfterS=${staleAfterS(device)} />`;
}

/** @type {import("../kit/table.js").Column<Device>[]} */
const COLUMNS = [
  { key: "device", label: "Device", head: true, cell: (device) => html`<a href=${`/devices/${device.id}`}>${device.id}</a>` },
  { key: "state", label: "State", cell: (device) => html`<${DeviceBadge} device=${device} />` },
  { key: "reads", label: "Reads", cell: reads },
  { key: "kind", label: "What it is", cell: (device) => `${device.manufacturer} ${device.model}` },
  { key: "place", label: "Bus and unit", cell: (device) => html`<a href="/buses">${device.bus}</a>, unit ${device.unit}` },
];

export default function Devices() {
  const { site, devices } = gateway.value;
  useTitle(`Devices · ${site.name}`);
  return html`<div class="page-head"><h1>Devices</h1></div>
    <${Table} caption="Devices of this site" columns=${COLUMNS} rows=${devices} rowKey=${(/** @type {Device} */ { id }) => id}
      empty=${html`<${Empty} title="No devices">They are named in edge.toml, with the buses that they are on.<//>`} />`;
}
