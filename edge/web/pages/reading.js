// One device's state and values as every page shows them.

import { html } from "../vendor/preact.js";
import { Age, Badge, Value } from "../kit/value.js";

/** @typedef {import("../gateway.js").Device} Device */
/** @typedef {import("../gateway.js").Kind} Kind */

/** A value is stale after so many intervals. */
const STALE_INTERVALS = 3;

/** @param {Device} device */
export const staleAfterS = ({ interval_s }) => interval_s * STALE_INTERVALS;

/** @type {Record<string, [kind: Kind, word: string]>} */
const CONDITIONS = {
  ok: ["good", "answers"], stale: ["warn", "late"], silent: ["bad", "silent"], never: ["bad", "never reached"], waiting: ["quiet", "not asked yet"],
};

/** @param {{device: Device}} props */
export function DeviceBadge({ device }) {
  const [kind, word] = CONDITIONS[device.condition] ?? ["quiet", device.condition];
  return html`<${Badge} kind=${kind} title=${device.state}>${word}<//>`;
}

/** @param {{device: Device}} props */
export const DeviceAge = ({ device }) => (device.read_ms === null ? html`<span class="age">never</span>` : html`<${Age} time=${device.read_ms} staleAfterS=${staleAfterS(device)} />`);

/**
 * The values that stand for a device, large.
 * @param {{device: Device}} props
 */
export function MainValues({ device }) {
  return html`<div class="values">${device.main.map((metric) => {
    const measured = device.values.find((value) => value.metric === metric);
    return measured && html`<${Value} key=${metric} metric=${metric} value=${measured.value} quality=${measured.quality} size="l" label />`;
  })}</div>`;
}
