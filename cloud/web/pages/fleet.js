// All sites at a glance, those in trouble first: link, power now, energy today, age of the newest reading.

import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { counted, linkState, percent, quantity } from "../kit/format.js";
import { Age, Badge, Empty, Failed, Loading, Value } from "../kit/value.js";
import { useTitle } from "../kit/shell.js";
import { Table } from "../kit/table.js";
import { get, useGet } from "../request.js";
import { session } from "../session.js";
import { useRoom } from "../live.js";

/** @typedef {import("../api").Site} Site */
/** @typedef {import("../api").SiteSummary} Summary */
/** @typedef {Site & {summary: Summary|null}} Row */

const SITES = "/sites?limit=1000&sort=created_at";
const SUMMARIES = "/sites/summaries";
/** Readings come more often; sums over all sites need not. */
const SUM_EVERY_MS = 10_000;
/** With less of the day known, the energy says so. */
const COVERED_MIN = 0.95;

export default function Fleet() {
  const customer = session.value.user?.role === "customer";
  const title = customer ? "Sites" : "Fleet";
  useTitle(title);
  const sites = useGet(SITES, { noun: "sites" });
  const sums = useGet(SUMMARIES);
  const [told, setTold] = useState(/** @type {Map<string, Summary["link"]>} */ (new Map()));
  const [search, setSearch] = useState("");
  const soon = useSoon(sums.reload, SUM_EVERY_MS);

  useRoom("fleet", (frame) => {
    if (frame.type === "reading" || frame.type === "status") soon();
    if (frame.type !== "status") return;
    setTold((before) => new Map([...before, ...frame.data.gateways.map(({ site_id, link }) => /** @type {const} */ ([site_id, /** @type {Summary["link"]} */ (link)]))]));
  }, async () => sums.put(await get(SUMMARIES)));
  useEffect(() => setTold(new Map()), [sums.data]);

  const rows = useMemo(() => {
    /** @type {Map<string, Summary>} */
    const byId = new Map((sums.data?.summaries ?? []).map((/** @type {Summary} */ summary) => [summary.site_id, summary]));
    return (sites.data?.sites ?? []).map((/** @type {Site} */ site) => {
      const found = byId.get(site.id) ?? null;
      const link = told.get(site.id);
      return { ...site, summary: found !== null && link !== undefined ? { ...found, link } : found };
    });
  }, [sites.data, sums.data, told]);

  const error = sites.error ?? sums.error;
  if (sites.data === null) {
    return html`<div class="page-head"><h1>${title}</h1></div>${error !== null ? html`<${Failed} error=${error} retry=${sites.reload} />` : html`<${Loading} rows=${5} />`}`;
  }
  const wanted = search.trim().toLowerCase();
  const found = rows.filter((/** @type {Row} */ row) => [row.name, row.river_name, row.region].some((text) => text.toLowerCase().includes(wanted)));
  return html`<div class="page-head"><h1>${title}</h1>
      ${rows.length > 1 && html`<input class="input search" type="search" aria-label="Search sites by name, river or region" placeholder="Search" value=${search} onInput=${(/** @type {any} */ event) => setSearch(event.currentTarget.value)} />`}
    </div>
    ${error !== null && html`<${Failed} title="Not up to date" error=${error} retry=${sums.reload} />`}
    ${rows.length === 0 ? html`<${Beginning} />` : html`<${Totals} rows=${rows} />
      <${Table} caption="Sites" columns=${COLUMNS} rows=${found} rowKey=${(/** @type {Row} */ row) => row.id} order="state"
        empty=${html`<${Empty} title="No site has these words" action=${html`<button type="button" class="button" onClick=${() => setSearch("")}>Show all</button>`} />`} />`}`;
}

/**
 * Runs at once, then not again before the pause is over.
 * @param {() => void} run
 * @param {number} pauseMs
 */
function useSoon(run, pauseMs) {
  const latest = useRef({ run, at: -Infinity, timer: /** @type {ReturnType<typeof setTimeout>|undefined} */ (undefined) });
  latest.current.run = run;
  useEffect(() => () => clearTimeout(latest.current.timer), []);
  return () => {
    const state = latest.current;
    clearTimeout(state.timer);
    state.timer = setTimeout(() => {
      state.at = performance.now();
      state.run();
    }, Math.max(0, state.at + pauseMs - performance.now()));
  };
}

/** @param {Row} row */
const isPartly = ({ summary }) => summary !== null && summary.devices_fresh < summary.devices;

/**
 * Trouble first.
 * @param {Row} row
 */
function rank(row) {
  const link = row.summary?.link;
  return link === "lost" ? 0 : link === "connected" && isPartly(row) ? 1 : link === "never" ? 2 : link === "none" ? 3 : 4;
}

/** @type {import("../kit/table.js").Column<Row>[]} */
const COLUMNS = [
  { key: "name", label: "Site", head: true, sort: (row) => row.name,
    cell: (row) => html`<a href=${`/sites/${row.id}`}>${row.name}</a><span class="under">${row.river_name}, ${row.region}</span>` },
  { key: "state", label: "Link", sort: rank, cell: (row) => html`<${State} ...${row} />` },
  { key: "power", label: "Power now", number: true, sort: (row) => row.summary?.power_kw ?? null,
    cell: (row) => html`<${Value} metric="power_output_kw" value=${row.summary?.power_kw} reason=${row.summary?.devices === 0 ? "no device" : "nothing fresh"} /><span class="under">of ${quantity("power_output_kw", row.capacity_kw)}</span>` },
  { key: "energy", label: "Energy today", number: true, sort: (row) => row.summary?.energy_today_kwh ?? null, cell: (row) => html`<${Energy} ...${row} />` },
  { key: "newest", label: "Newest reading", sort: (row) => row.summary?.newest_at ?? null,
    cell: ({ summary, timezone }) => html`<${Age} time=${summary?.newest_at} staleAfterS=${summary?.devices_fresh === 0 && summary.newest_at !== null ? 0 : undefined} zone=${timezone} />` },
  { key: "devices", label: "Devices", number: true, sort: (row) => row.summary?.devices ?? null,
    cell: ({ summary }) => (summary === null ? null : html`<span title="with a fresh reading">${summary.devices_fresh} of ${summary.devices}</span>`) },
];

/** @param {Row} row */
function State(row) {
  if (row.summary === null) return null;
  const { word, kind, meaning } = linkState(row.summary.link);
  const silent = row.summary.devices - row.summary.devices_fresh;
  return html`<${Badge} kind=${kind} title=${meaning}>${word}<//>
    ${row.summary.link === "connected" && silent > 0 && html` <${Badge} kind="warn">${counted(silent, "device")} silent<//>`}
    ${row.summary.link === "lost" && html`<span class="under">last seen <${Age} time=${row.summary.last_seen_at} zone=${row.timezone} /></span>`}`;
}

/** @param {Row} row */
function Energy({ summary }) {
  const partly = summary !== null && summary.energy_today_kwh !== null && summary.coverage_today < COVERED_MIN;
  return html`<${Value} metric="energy_kwh" value=${summary?.energy_today_kwh} reason="nothing measured" />
    ${partly && html`<span class="under" title="of the site's day so far">${percent(summary.coverage_today)} of the day known</span>`}`;
}

/** @param {{rows: Row[]}} props */
function Totals({ rows }) {
  const powers = rows.flatMap(({ summary }) => (typeof summary?.power_kw === "number" ? [summary.power_kw] : []));
  const energies = rows.flatMap(({ summary }) => (typeof summary?.energy_today_kwh === "number" ? [summary.energy_today_kwh] : []));
  /** @param {number[]} values */
  const sum = (values) => (values.length === 0 ? null : values.reduce((total, value) => total + value, 0));
  const troubled = rows.filter((row) => rank(row) < 2).length;
  /** @param {number[]} values */
  const of = (values) => (values.length < rows.length ? `${values.length} of ${counted(rows.length, "site")}` : rows.length > 1 ? counted(rows.length, "site") : "");
  return html`<section class="card totals" aria-label="All together">
    <div><${Value} size="xl" label="Power now" metric="power_output_kw" value=${sum(powers)} reason="nothing fresh" /><span class="soft small">${of(powers)}</span></div>
    <div><${Value} size="xl" label="Energy today" metric="energy_kwh" value=${sum(energies)} reason="nothing measured" /><span class="soft small">${of(energies)}${rows.length > 1 && ", each by its own day"}</span></div>
    <div><span class="value-label">State</span>${troubled === 0 ? html`<${Badge} kind="good">all well<//>` : html`<${Badge} kind="bad">${counted(troubled, "site")} in trouble<//>`}</div>
  </section>`;
}

function Beginning() {
  if (session.value.user?.role !== "admin") return html`<${Empty} title="You see no site yet">An administrator gives you sight of your sites.<//>`;
  return html`<${Empty} title="No site yet" action=${html`<a class="button primary" href="/sites/new">Add a site</a>`}>
    <ol class="steps"><li>Add a site: its name, river and time zone.</li><li>Add a gateway and get its enrollment code.</li><li>Enter the code on the box; its devices appear by themselves.</li></ol><//>`;
}
