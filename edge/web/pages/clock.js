// The clock: what the gateway believes and on whose word, each correction, and taking the time of this device.

import { html, useState } from "../vendor/preact.js";
import { toast, useTitle } from "../kit/shell.js";
import { Badge, Empty, Failed, Loading, now } from "../kit/value.js";
import { Table } from "../kit/table.js";
import { NOTHING, at, duration } from "../kit/format.js";
import { change } from "../change.js";
import { ask, gateway, useAnswer } from "../gateway.js";

/**
 * @typedef {{number: number, boot: number, monotonic_ms: number, timestamp: string|null, by_ms: number, how: string, source: string|null}} Jump
 * @typedef {{time: string|null, trusted: boolean, source: string|null, uncertainty_s: number|null, condition: string, state: string, remedy: string, jumps: Jump[]}} Clock
 */

const PATH = "/api/clock";
/** How often it is asked for. */
const EVERY_MS = 10_000;
/** Clocks that agree to this are equal for readings. */
const EQUAL_MS = 2_000;

/** @param {string|null} source */
const words = (source) => source?.replaceAll("_", " ") ?? NOTHING;
/** @param {number|null} seconds */
const off = (seconds) => (seconds === null ? NOTHING : seconds === 0 ? "under 2 s" : duration(seconds * 1_000));
/** @param {number} ms */
const signed = (ms) => `${ms < 0 ? "−" : "+"}${duration(Math.abs(ms))}`;

/**
 * How far this device's clock is from the gateway's.
 * @param {boolean} trusted
 */
function difference(trusted) {
  const ms = Date.now() - now.value;
  if (!trusted) return "The gateway does not know the time.";
  if (Math.abs(ms) < EQUAL_MS) return "This device and the gateway agree.";
  return `This device is ${duration(Math.abs(ms))} ${ms > 0 ? "ahead of" : "behind"} the gateway.`;
}

/** @param {{trusted: boolean, zone: string, end: (done: boolean) => void, Dialog: any, Form: any}} props */
function Confirm({ trusted, zone, end, Dialog, Form }) {
  const send = async () => {
    const answer = await change(PATH, { time: new Date().toISOString() });
    if (answer === null) return;
    toast(answer.source === "person" ? "The gateway goes by this device's time" : `The gateway took note of it; it goes by the ${words(answer.source)}`);
    end(true);
  };
  return html`<${Dialog} title="Take the time of this device?" close=${() => end(false)}>
    <p>It says <strong>${at(Date.now(), zone)}</strong> <span class="soft">(${zone})</span>. ${difference(trusted)}</p>
    <p>${trusted ? "The gateway compares it with what it knows; a time server or the cloud counts more." : "Readings that wait get their times by it, once and for good. Compare it with a second clock first."}</p>
    <${Form} label="Take the time" submit="Take this time" cancel=${() => end(false)} send=${send} />
  <//>`;
}

export default function ClockPage() {
  const { site } = gateway.value;
  const [answer, error, again] = useAnswer(PATH, Math.floor(now.value / EVERY_MS));
  const [shown, show] = useState(/** @type {null|{Dialog: any, Form: any}} */ (null));
  useTitle(`Clock · ${site.name}`);
  if (answer === null) return html`<div class="page-head"><h1>Clock</h1></div>${error === null ? html`<${Loading} rows=${6} />` : html`<${Failed} error=${error} retry=${again} />`}`;

  /** @type {Clock} */
  const clock = answer;
  const zone = site.timezone;
  /** @type {import("../kit/table.js").Column<Jump>[]} */
  const columns = [
    { key: "when", label: "When", head: true, cell: (jump) => (jump.timestamp === null ? `${duration(jump.monotonic_ms)} after start ${jump.boot}` : at(jump.timestamp, zone)) },
    { key: "by", label: "By", number: true, cell: (jump) => signed(jump.by_ms) },
    { key: "source", label: "On the word of", cell: (jump) => words(jump.source) },
    { key: "how", label: "How", cell: (jump) => (jump.how === "slewed" ? "slowly, no time twice" : "at once") },
  ];
  const open = async () => {
    const [{ Dialog }, { Form }] = await Promise.all([import("../kit/dialog.js"), import("../kit/form.js")]);
    show({ Dialog, Form });
  };
  /** @param {boolean} done */
  const end = (done) => {
    show(null);
    if (done) Promise.all([again(), ask()]);
  };
  const well = clock.condition === "ok";
  return html`<div class="page-head"><h1>Clock</h1><${Badge} kind=${well ? "good" : "warn"}>${clock.trusted ? "trusted" : "not trusted"}<//></div>
    <div class="stack"><section class="card upkeep"><h2 class="unseen">What the gateway believes</h2><div class="values">
        <span class="value l labelled"><span class="value-label">Time at the site </span><span class="value-figure">${clock.trusted ? at(now.value, zone, "time") : NOTHING} </span> ${clock.trusted && html`<span class="value-about">${at(now.value, zone, "date")}</span>`}</span>
        <span class="value l labelled"><span class="value-label">On the word of </span><span class="value-figure">${words(clock.source)}</span></span>
        <span class="value l labelled"><span class="value-label">At most off </span><span class="value-figure">${off(clock.uncertainty_s)}</span></span></div>
        <p class=${well ? "soft" : "trouble"}>${clock.state}</p>${clock.remedy !== "" && html`<p><strong>What to do:</strong> ${clock.remedy}.</p>`}</section>
      <section class="card upkeep"><h2>The clock of this device</h2><p>${difference(clock.trusted)}</p>
        <p class="soft">Where there is neither a time server nor the cloud, a phone's clock can stand in for them.</p>
        <div class="form-actions"><button type="button" class="button" onClick=${open}>Take its time …</button></div></section>
      <section><h2 class="side-head">Corrections</h2><${Table} caption="Corrections of the clock, newest first" columns=${columns} rows=${clock.jumps} rowKey=${(/** @type {Jump} */ { number }) => String(number)}
        empty=${html`<${Empty} title="No corrections">The clock was never corrected by half a second or more.<//>`} /></section></div>
    ${shown !== null && html`<${Confirm} trusted=${clock.trusted} zone=${zone} ...${shown} end=${end} />`}`;
}
