// A device's past as a chart: any range from the roll-up that suits it, short ones from the readings themselves, with the
// live ones at its end. Range and metrics stand in the address.

import { html, useEffect, useMemo, useState } from "../vendor/preact.js";
import { labelOf, zoneName } from "../kit/format.js";
import { now } from "../kit/value.js";
import { Menu, goQuery } from "../kit/shell.js";
import { Chart } from "../kit/chart.js";
import { fromReadings } from "../kit/series.js";
import { Dialog } from "../kit/dialog.js";
import { Field, Form } from "../kit/form.js";
import { get } from "../request.js";
import { LENGTHS, LENGTH_WORDS, fromLocal, inAddress, lengthFirst, rangeOf, toLocal } from "../range.js";
import { intervalS } from "../plant.js";

/** @typedef {import("../api").Reading} Reading */
/** @typedef {import("../range.js").Range} Range */

/** More lines, and axes of their own, nobody can read. */
const METRICS_MAX = 4;
/** Up to so many readings are drawn as they are. */
const READINGS_MAX = 1_000;
/** Readings further apart have a hole between them, as in roll-ups. */
const HOLE_MIN_MS = 120_000;

/**
 * @param {{device: import("../api").Device, zone: string, query: URLSearchParams, metrics: string[], tail: Reading[],
 *   changes: number, marks: {time: string, label: string}[]}} props
 *   `metrics` are those to choose from; `tail` are the live readings; another number in `changes` tells that the past has changed.
 */
export function History({ device, zone, query, metrics: known, tail, changes, marks }) {
  const [range, setRange] = useState(() => rangeOf(query, lengthFirst(Date.parse(device.created_at), now.peek())));
  const [asking, setAsked] = useState(false);
  const [anchor, setAnchor] = useState(() => now.peek());
  useEffect(() => {
    if (changes > 0) setAnchor(now.peek());
  }, [changes]);
  const asked = (query.get("metric") ?? "").split(",").filter((metric) => /^\w+$/.test(metric));
  const chosen = (asked.length > 0 ? asked : known.slice(0, 1)).slice(0, METRICS_MAX);
  const names = chosen.join();
  const holeMs = Math.max(HOLE_MIN_MS, 3_000 * intervalS(device));
  const live = useMemo(() => fromReadings(tail, chosen, holeMs), [tail, names]);
  const from = range.length === null ? range.from : anchor - LENGTHS[range.length];
  const to = range.length === null ? range.to : null;

  /** @param {Range} next */
  function choose(next) {
    setAnchor(now.peek());
    setRange(next);
    goQuery(inAddress(next));
  }
  /** @param {string} metric */
  function toggle(metric) {
    const next = chosen.includes(metric) ? chosen.filter((each) => each !== metric) : [...chosen, metric];
    if (next.length > 0) goQuery({ metric: next.join() });
  }
  /** @param {{from: number, to: number, points: number}} span @param {AbortSignal} signal */
  async function load({ from: start, to: end, points }, signal) {
    const span = `from=${new Date(start).toISOString()}&to=${new Date(end).toISOString()}`;
    if ((end - start) / (1_000 * intervalS(device)) <= READINGS_MAX) {
      const [{ readings, next_cursor }, { gaps }] = await Promise.all([
        get(`/devices/${device.id}/readings?metric=${names}&${span}&limit=${READINGS_MAX}`, { signal }), get(`/devices/${device.id}/gaps?${span}&limit=1000`, { signal })]);
      if (next_cursor === null) return { buckets: fromReadings(readings, chosen, holeMs), gaps };
    }
    return get(`/readings/aggregated?device_id=${device.id}&metric=${names}&${span}&points=${points}`, { signal });
  }

  return html`<section class="card stack" aria-labelledby="history">
    <div class="card-head"><h2 id="history">History</h2>
      <div class="row">
        <div class="segments" role="group" aria-label="Range">${Object.entries(LENGTH_WORDS).map(([length, word]) => html`<button key=${length} type="button"
          aria-pressed=${range.length === length} onClick=${() => choose({ length: /** @type {import("../range.js").Length} */ (length) })}>${word}</button>`)}</div>
        <${Menu} label="Values">${[...new Set([...known, ...chosen])].map((metric) => html`<label key=${metric} class="choice"><input type="checkbox" checked=${chosen.includes(metric)}
          disabled=${!chosen.includes(metric) && chosen.length >= METRICS_MAX} onChange=${() => toggle(metric)} /> ${labelOf(metric)}</label>`)}<//>
        <button type="button" class="button" onClick=${() => setAsked(true)}>From … to</button>
      </div>
    </div>
    ${asking && html`<${Custom} from=${from} to=${to ?? now.peek()} zone=${zone} choose=${choose} close=${() => setAsked(false)} />`}
    <${Chart} key=${range.length === null ? changes : ""} label=${`${chosen.map(labelOf).join(", ")} of ${device.device_name}`} metrics=${chosen} from=${from} to=${to} zone=${zone} load=${load} tail=${live} marks=${marks}
      viewed=${(/** @type {{from: number, to: number}|null} */ view) => goQuery(inAddress(view === null ? range : { length: null, ...view }))} />
  </section>`;
}

/** @param {{from: number, to: number, zone: string, choose: (range: Range) => void, close: () => void}} props */
function Custom({ from, to, zone, choose, close }) {
  /** @param {Record<string, string>} values */
  function send(values) {
    const start = fromLocal(values.from, zone);
    const end = fromLocal(values.to, zone);
    const details = [[start, "from"], [end, "to"]].filter(([time]) => time === null).map(([, field]) => ({ field, message: "is no date and time" }));
    if (start !== null && end !== null && start >= end) details.push({ field: "to", message: "is not after the begin" });
    if (details.length > 0) throw Object.assign(new Error("Check the range."), { details });
    choose({ length: null, from: Number(start), to: Number(end) });
    close();
  }
  return html`<${Dialog} title="From … to" close=${close}><${Form} label="Range" submit="Show" send=${send} cancel=${close}>
    <${Field} name="from" label="From" type="datetime-local" value=${toLocal(from, zone)} />
    <${Field} name="to" label="To" type="datetime-local" value=${toLocal(to, zone)} hint=${`By the clocks at the site: ${zone} (${zoneName(to, zone)}).`} />
  <//><//>`;
}
