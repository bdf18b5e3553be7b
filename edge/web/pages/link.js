// The link to the cloud: whether it holds, what waits here, and what happens next.

import { html } from "../vendor/preact.js";
import { useTitle } from "../kit/shell.js";
import { Age, Badge } from "../kit/value.js";
import { NOTHING, duration, number } from "../kit/format.js";
import { gateway } from "../gateway.js";

/** @typedef {import("../gateway.js").Kind} Kind */

/** @type {Record<string, [kind: Kind, word: string]>} */
const CONDITIONS = {
  ok: ["good", "connected"], held: ["warn", "readings held"], lost: ["bad", "link lost"], waiting: ["quiet", "not tried yet"], unenrolled: ["quiet", "not enrolled"],
};

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
      <section class="card"><h2 class="side-head">Where to</h2><dl class="pairs"><dt>Cloud</dt><dd class="mono">${link.url ?? "none"}</dd>
        <dt>Last error</dt><dd>${link.error ?? "none"}</dd>
        <dt>Held devices</dt><dd>${link.waiting.length === 0 ? "none" : link.waiting.join(", ")}</dd></dl></section></div>`;
}
