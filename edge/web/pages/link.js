// The link to the cloud: whether it holds, what waits here, and what happens next.

import { html } from "../vendor/preact.js";
import { useTitle } from "../kit/shell.js";
import { Age, Badge, now } from "../kit/value.js";
import { NOTHING, at, counted, duration, msOf, number, percent } from "../kit/format.js";
import { gateway } from "../gateway.js";

/** @typedef {import("../gateway.js").Kind} Kind */

/** @type {Record<string, [kind: Kind, word: string]>} */
const CONDITIONS = {
  ok: ["good", "connected"], held: ["warn", "readings held"], lost: ["bad", "link lost"], waiting: ["quiet", "not tried yet"], unenrolled: ["quiet", "not enrolled"],
};

/** @type {Record<string, [kind: Kind, word: string]>} */
const PLANS = { ok: ["good", "will do"], warning: ["warn", "watch it"], saving: ["warn", "saving"] };
/** From this share on the bar is of another colour, as the gateway warns. */
const HIGH = 0.8;
const DAYS = 30;
const DAY_MS = 86_400_000;
const MB = 1_000_000;

/**
 * As a bill counts: `12.4 MB`; what would be none of them in kB.
 * @param {number} bytes
 */
const mb = (bytes) => bytes < MB / 10 ? `${number(bytes / 1_000, 0)}\u00a0kB` : `${number(bytes / MB, bytes < 100 * MB ? 1 : 0)}\u00a0MB`;

/** @param {{plan: import("../gateway.js").Plan}} props */
function PlanCard({ plan }) {
  const { timezone } = gateway.value.site;
  const [kind, word] = PLANS[plan.state];
  const left = Math.max(0, Math.ceil(((msOf(plan.period_end) ?? 0) - now.value) / DAY_MS));
  const figures = [["Used", mb(plan.used_bytes)], ["Forecast", mb(plan.forecast_bytes)], ["Left", counted(left, "day")], ["Ends", at(plan.period_end, timezone, "day")]];
  return html`<section class="card"><div class="card-head"><h2>Data plan</h2><${Badge} kind=${kind}>${word}<//></div>
    <div class="load"><span>Used</span><meter min="0" max=${plan.limit_bytes} high=${plan.limit_bytes * HIGH} optimum="0" value=${plan.used_bytes} aria-label="Used of the data plan"></meter><b>${percent(plan.used_bytes / plan.limit_bytes)}</b><span class="soft">of ${mb(plan.limit_bytes)}</span></div>
    <div class="values">${figures.map(([label, figure]) => html`<span key=${label} class="value l labelled"><span class="value-label">${label} </span><span class="value-figure">${figure}</span></span>`)}</div>
    <p>${plan.meaning}</p>${plan.remedy !== "" && html`<p class="soft">${plan.remedy}</p>`}</section>`;
}

/** @param {{traffic: import("../gateway.js").Traffic[]}} props */
function TrafficCard({ traffic }) {
  const newest = traffic.at(-1);
  if (newest === undefined) return null;
  const last = Date.parse(newest.day);
  const bars = traffic.map(({ day, sent_bytes, received_bytes }) => ({ day, place: DAYS - 1 - (last - Date.parse(day)) / DAY_MS, sent: sent_bytes, all: sent_bytes + received_bytes }))
    .filter(({ place }) => place >= 0);
  const most = Math.max(1, ...bars.map(({ all }) => all));
  const label = `Bytes a day of the last ${DAYS} days, at most ${mb(most)}`;
  return html`<section class="card"><h2 class="side-head">Carried each day</h2>
    <svg class="days" viewBox=${`0 0 ${DAYS} 10`} preserveAspectRatio="none" role="img" aria-label=${label}>${bars.map(({ day, place, all }) => html`<rect key=${day} x=${place + 0.1} width="0.8" y=${10 - (all / most) * 10} height=${(all / most) * 10}><title>${`${at(Date.parse(day), "UTC", "day")}: ${mb(all)}`}</title></rect>`)}</svg>
    <p class="soft small">The last ${counted(DAYS, "day")}, most ${mb(most)}; today ${mb(newest.sent_bytes)} sent and ${mb(newest.received_bytes)} received.</p></section>`;
}

export default function Link() {
  const { site, link } = gateway.value;
  const [kind, word] = CONDITIONS[link.condition] ?? ["quiet", link.condition];
  useTitle(`Cloud link · ${site.name}`);
  return html`<div class="page-head"><h1>Cloud link</h1><${Badge} kind=${kind}>${word}<//></div>
    <div class="stack"><section class="card"><p class=${kind === "bad" ? "trouble" : undefined}>${link.state}</p>
        <p><strong>What happens next:</strong> ${link.next}${site.time === null && "; until the clock is trusted, readings wait here without a time"}</p></section>
      <section class="card"><h2 class="unseen">Backlog</h2><div class="values">
        <span class="value l labelled"><span class="value-label">Readings that wait </span><span class="value-figure">${number(link.backlog_readings)}</span></span>
        <span class="value l labelled"><span class="value-label">The oldest waits for </span><span class="value-figure">${link.oldest_unsent_seconds === null ? NOTHING : duration(link.oldest_unsent_seconds * 1_000)}</span></span>
        <span class="value l labelled"><span class="value-label">Last receipt </span><span class="value-figure"><${Age} time=${link.receipt_ms} /></span></span>
        <span class="value l labelled"><span class="value-label">Refused, resting here </span><span class="value-figure">${number(site.dead_letters)}</span></span></div>
        ${site.dead_letters > 0 && html`<p><a href="/dead-letters">Look at the refused readings</a></p>`}</section>
      ${link.plan !== null && html`<${PlanCard} plan=${link.plan} />`}<${TrafficCard} traffic=${link.traffic} />
      <section class="card"><h2 class="side-head">Where to</h2><dl class="pairs"><dt>Cloud</dt><dd class="mono">${link.url ?? "none"}</dd>
        <dt>Last error</dt><dd>${link.error ?? "none"}</dd>
        <dt>Held devices</dt><dd>${link.waiting.length === 0 ? "none" : link.waiting.join(", ")}</dd></dl></section></div>`;
}
