// A gateway's code, for the eye, for a camera and as a command, until its first reading is here.

import { html, useEffect, useState } from "../vendor/preact.js";
import { duration, labelOf, quantity } from "../kit/format.js";
import { Age, Badge, Loading, Notice, now } from "../kit/value.js";
import { announce, toast } from "../kit/shell.js";
import { get } from "../request.js";
import { useRoom } from "../live.js";
import { leadingOf, valueOf } from "../plant.js";

/** @typedef {import("../api").Gateway} Gateway */
/** @typedef {import("../api").Device} Device */
/** @typedef {import("../api").Reading} Reading */
/** @typedef {Gateway & import("../api").Replacement & {replaces?: string|null}} Coded a gateway with its code; `replaces`: when the one before it was enrolled */
/** @typedef {{gateway: Gateway, devices: Device[], reading: Reading|null}} Arrival */

const LOOK_EVERY_MS = 3_000;

/** @param {{gateway: Coded, site: import("../api").Site|null, arrived: () => void, done: () => void}} props */
export function Enroll({ gateway, site, arrived, done }) {
  const { enrollment_code: code, expires_at } = gateway;
  const [Qr, setQr] = useState(/** @type {{of: import("../vendor/preact.js").Component}|null} */ (null));
  const arrival = useArrival(gateway, arrived);
  useEffect(() => void import("../kit/qr.js").then((module) => setQr({ of: module.Qr }), () => {}), []);
  const leftMs = Date.parse(expires_at) - now.value;
  const enrolled = enrolledAt(gateway, arrival?.gateway ?? null);
  const zone = site?.timezone ?? "UTC";
  const device = arrival?.devices.find(({ id }) => id === arrival.reading?.device_id);
  return html`<section class="card stack" aria-labelledby="enroll"><div class="card-head"><h2 id="enroll">${gateway.name}: its code</h2><button type="button" class="button" onClick=${done}>Done</button></div>
    ${enrolled === null && html`<div class="enroll"><div class="stack">
      <p class="code" aria-label="Enrollment code">${code}</p>
      <p>${leftMs > 0 ? html`It works once and is shown this once. <span class="soft">Good for another ${duration(leftMs)}.</span>` : html`<${Badge} kind="bad">expired<//> Add the gateway again to get a new one.`}</p>
      <p>On the box:</p><${Command} text=${`sudo -u riverwatts riverwatts-edge enroll --cloud ${location.origin} --code ${code}`} name="command" />
      </div><div>${Qr === null ? html`<${Loading} rows=${3} label="Loading the code as a picture" />` : html`<${Qr.of} text=${code} label=${`Enrollment code ${code} as a QR code`} size=${200} />`}</div></div>`}
    <ol class="progress" aria-label="How far it is">
      <${Step} done=${enrolled !== null} name="The code is entered on the box">${enrolled !== null && html`<${Age} time=${enrolled} zone=${zone} />`}<//>
      <${Step} done=${(arrival?.devices.length ?? 0) > 0} name="Its devices are announced">${arrival?.devices.map(({ device_name }) => device_name).join(", ")}<//>
      <${Step} done=${device !== undefined} name="The first reading is here">${device !== undefined && arrival?.reading && told(device, arrival.reading)}<//>
    </ol>
    ${device !== undefined && html`<${Notice} kind="good" title="It works" action=${html`<a class="button primary" href=${`/sites/${gateway.site_id}`}>See ${site?.name ?? "the site"}</a>`}>Readings of ${gateway.name} arrive.<//>`}
  </section>`;
}

/**
 * When the box with this code was enrolled, not one before it.
 * @param {Coded} gateway @param {Gateway|null} latest
 */
const enrolledAt = ({ replaces }, latest) => (latest === null || latest.enrolled_at === (replaces ?? null) ? null : latest.enrolled_at);

/** @param {Device} device @param {Reading} reading */
function told(device, reading) {
  const [metric] = leadingOf(reading);
  return `${device.device_name}${metric === undefined ? "" : `, ${labelOf(metric).toLowerCase()} ${quantity(metric, valueOf(reading, metric))}`}`;
}

/** @param {{done: boolean, name: string, children?: import("../vendor/preact.js").Children}} props */
const Step = ({ done, name, children }) => html`<li class="row"><${Badge} kind=${done ? "good" : "quiet"}>${done ? "done" : "waiting"}<//><span>${name}</span>${children && html`<span class="soft">${children}</span>`}</li>`;

/**
 * What has arrived of a gateway: looked for when something happens at its site, and from time to time.
 * @param {Coded} gateway
 * @param {() => void} arrived
 */
function useArrival(gateway, arrived) {
  const [arrival, setArrival] = useState(/** @type {Arrival|null} */ (null));
  const complete = arrival?.reading != null;
  async function look() {
    if (complete) return;
    const latest = await get(`/gateways/${gateway.id}`);
    const devices = enrolledAt(gateway, latest) === null ? [] : (await get(`/devices?site_id=${gateway.site_id}&limit=1000`)).devices.filter((/** @type {Device} */ { gateway_id }) => gateway_id === gateway.id);
    const readings = devices.length === 0 ? [] : (await get(`/readings/latest?site_id=${gateway.site_id}`)).readings;
    const reading = readings.find((/** @type {Reading} */ { device_id, created_at }) => devices.some((/** @type {Device} */ { id }) => id === device_id) && created_at >= latest.enrolled_at) ?? null;
    setArrival({ gateway: latest, devices, reading });
  }
  useRoom(`site-${gateway.site_id}`, (frame) => {
    if (frame.type === "reading" || frame.type === "status") look().catch(() => {});
  }, look);
  useEffect(() => {
    if (complete) {
      announce("The first reading is here.");
      return arrived();
    }
    const timer = setInterval(() => document.visibilityState === "visible" && look().catch(() => {}), LOOK_EVERY_MS);
    return () => clearInterval(timer);
  }, [complete]);
  return arrival;
}

/**
 * A text to copy.
 * @param {{text: string, name: string}} props
 */
export function Command({ text, name }) {
  const copy = () => navigator.clipboard.writeText(text).then(() => toast("Copied"), () => toast("The browser does not let the page copy; select the text.", "bad"));
  return html`<div class="command"><code>${text}</code>${navigator.clipboard !== undefined && html`<button type="button" class="button" aria-label=${`Copy the ${name}`} onClick=${copy}>Copy</button>`}</div>`;
}
