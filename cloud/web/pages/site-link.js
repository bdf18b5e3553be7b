// What connects a site: its gateways with their link, and the gaps that never will be filled.

import { html, useEffect, useState } from "../vendor/preact.js";
import { at, counted, duration, gapReason, linkState, msOf } from "../kit/format.js";
import { Age, Badge, Loading } from "../kit/value.js";
import { get } from "../request.js";

/** @typedef {import("../api").Device} Device */
/** @typedef {import("../api").Gap} Gap */
/** @typedef {import("../api").Gateway} Gateway */

const GAPS_EACH = 5;
const GAPS_SHOWN = 8;
const DEVICES_ASKED_MAX = 40;

/** @param {{gateways: Gateway[]|null, devices: Device[], zone: string, changes: number}} props another number in `changes` asks for the gaps anew */
export function Link({ gateways, devices, zone, changes }) {
  const gaps = useGaps(devices, changes);
  const names = new Map(devices.map(({ id, device_name }) => [id, device_name]));
  return html`<div class="grid about" style=${{ "--column": "24rem" }}>
    <section class="card stack" aria-labelledby="link"><h2 id="link">Gateways</h2>
      ${gateways === null ? html`<${Loading} />` : gateways.length === 0 ? html`<p class="soft">None belongs to this site.</p>`
      : html`<ul class="facts">${gateways.map((gateway) => html`<li key=${gateway.id}><span class="row"><b>${gateway.name}</b><${Badge} kind=${linkState(gateway.link).kind} title=${linkState(gateway.link).meaning}>${linkState(gateway.link).word}<//></span>
        <span class="under">heard <${Age} time=${gateway.last_seen_at} zone=${zone} />, reads ${counted(devices.filter(({ gateway_id }) => gateway_id === gateway.id).length, "device")}${gateway.enrolled_at === null ? ", not enrolled yet" : `, enrolled ${at(gateway.enrolled_at, zone, "date")}`}</span></li>`)}</ul>`}
    </section>
    <section class="card stack" aria-labelledby="gaps"><h2 id="gaps">Gaps</h2>
      ${gaps === null ? html`<${Loading} />` : gaps.length === 0 ? html`<p class="soft">None is known. What a gateway had to give up stands here, with the reason.</p>`
      : html`<ul class="facts">${gaps.map((gap) => html`<li key=${gap.device_id + gap.from}><a href=${`/devices/${gap.device_id}?from=${around(gap).from}&to=${around(gap).to}`}>${names.get(gap.device_id)}</a>, ${at(gap.from, zone)} for ${duration((msOf(gap.to) ?? 0) - (msOf(gap.from) ?? 0))}
        <span class="under">${gapReason(gap.reason)}${gap.rows !== null && `, ${counted(gap.rows, "reading")}`}</span></li>`)}</ul>`}
    </section>
  </div>`;
}

/**
 * A range that shows the gap and what lies beside it.
 * @param {Gap} gap
 */
function around({ from, to }) {
  const margin = Math.max(600_000, Date.parse(to) - Date.parse(from));
  return { from: new Date(Date.parse(from) - margin).toISOString(), to: new Date(Date.parse(to) + margin).toISOString() };
}

/** @param {Device[]} devices @param {number} changes */
function useGaps(devices, changes) {
  const [gaps, setGaps] = useState(/** @type {Gap[]|null} */ (null));
  const ids = devices.map(({ id }) => id).slice(0, DEVICES_ASKED_MAX);
  useEffect(() => {
    const left = new AbortController();
    Promise.all(ids.map((id) => get(`/devices/${id}/gaps?limit=${GAPS_EACH}`, { signal: left.signal }).then((body) => body.gaps, () => []))).then((lists) => {
      if (!left.signal.aborted) setGaps(lists.flat().sort((one, other) => other.from.localeCompare(one.from)).slice(0, GAPS_SHOWN));
    });
    return () => left.abort();
  }, [ids.join(), changes]);
  return gaps;
}
