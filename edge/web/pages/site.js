// The site at a glance: whether the gateway does its work, and what every device reads now.

import { html } from "../vendor/preact.js";
import { useTitle } from "../kit/shell.js";
import { Badge, Empty, now, useStale } from "../kit/value.js";
import { at } from "../kit/format.js";
import { gateway, lost } from "../gateway.js";
import { DeviceAge, MainValues, staleAfterS } from "./reading.js";

/** @typedef {import("../gateway.js").Kind} Kind */

/** @type {Record<string, [kind: Kind, word: string]>} */
const CONDITIONS = { ok: ["good", "well"], warning: ["warn", "attention"], failure: ["bad", "failure"] };
/** @type {Record<string, [title: string, href: string|null]>} */
const PARTS = { devices: ["Devices", "/devices"], store: ["Storing", null], clock: ["Clock", "/clock"], cloud: ["Cloud", "/link"] };

/** @param {{part: import("../gateway.js").Part}} props */
function PartCard({ part }) {
  /** @type {[kind: Kind, word: string]} */
  const [kind, word] = lost.value === null ? CONDITIONS[part.condition] : ["quiet", "not known"];
  const [title, usual] = PARTS[part.name];
  const href = part.name === "store" && gateway.value.site.dead_letters > 0 ? "/dead-letters" : usual;
  return html`<li class=${`card part ${kind}`}><h2>${href === null ? title : html`<a href=${href}>${title}</a>`}</h2>
    <${Badge} kind=${kind}>${word}<//><p>${part.name === "clock" && kind === "good" ? html`<${Clock} />` : part.state}</p>
    ${part.remedy !== "" && html`<p class="soft">${part.remedy}</p>`}</li>`;
}

function Clock() {
  const { timezone } = gateway.value.site;
  return html`trusted: ${at(now.value, timezone, "time")}, ${at(now.value, timezone, "day")} <span class="soft">(${timezone})</span>`;
}

/** @param {{device: import("../gateway.js").Device}} props */
function DeviceCard({ device }) {
  const stale = useStale(device.read_ms, staleAfterS(device)).value;
  return html`<article class=${stale ? "card late" : "card"}><div class="card-head"><h2><a href=${`/devices/${device.id}`}>${device.id}</a></h2><${DeviceAge} device=${device} /></div>
    ${device.condition !== "ok" && html`<p class="trouble">${device.state}</p>`}<${MainValues} device=${device} /></article>`;
}

export default function Site() {
  const { site, devices } = gateway.value;
  useTitle(site.name);
  return html`<div class="page-head"><h1>${site.name}</h1></div>
    <ul class="parts">${site.parts.map((part) => html`<${PartCard} key=${part.name} part=${part} />`)}</ul>
    ${devices.length === 0 ? html`<${Empty} title="No devices">They are named in edge.toml, with the buses that they are on.<//>`
      : html`<div class="grid device">${devices.map((device) => html`<${DeviceCard} key=${device.id} device=${device} />`)}</div>`}
    <footer class="soft small">RiverWatts ${site.version} · <a href="/metrics">metrics</a> · <a href="/healthz">health</a></footer>`;
}
