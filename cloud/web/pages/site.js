// One site: whether it is heard, where its power comes from and goes to, its devices, gateways and gaps.

import { html, useEffect, useMemo, useState } from "../vendor/preact.js";
import { at, counted, linkState, percent, quantity, zoneName } from "../kit/format.js";
import { Age, Badge, Failed, Loading, Notice, Refused, Value, now } from "../kit/value.js";
import { useTitle } from "../kit/shell.js";
import { get, useGet } from "../request.js";
import { useRoom } from "../live.js";
import { plantOf, withNewer } from "../plant.js";

/** @typedef {import("../api").Site} Site */
/** @typedef {import("../api").Device} Device */
/** @typedef {import("../api").Reading} Reading */
/** @typedef {import("../api").Gateway} Gateway */
/** @typedef {import("../api").SiteSummary} Summary */

/** Sums of the day are asked for again so often. */
const SUM_EVERY_MS = 30_000;
const COVERED_MIN = 0.95;

/** @param {{id: string}} props */
export default function SitePage({ id }) {
  const found = useGet(`/sites/${encodeURIComponent(id)}`);
  /** @type {Site|null} */
  const site = found.data;
  useTitle(site?.name ?? null);
  if (site !== null) return html`<${Shown} site=${site} />`;
  return found.error !== null ? html`<${Refused} error=${found.error} what="site" back=${html`<a href="/">Go to the sites</a>`} retry=${found.reload} />` : html`<${Loading} rows=${8} />`;
}

/** @param {{site: Site}} props */
function Shown({ site }) {
  const devices = useGet(`/devices?site_id=${site.id}&limit=1000&sort=created_at`, { noun: "devices" });
  const newest = useGet(`/readings/latest?site_id=${site.id}`);
  const gateways = useGet("/gateways?limit=1000&sort=created_at", { noun: "gateways", everyMs: SUM_EVERY_MS });
  const sums = useGet("/sites/summaries", { everyMs: SUM_EVERY_MS });
  const [latest, setLatest] = useState(/** @type {Map<string, Reading>} */ (new Map()));
  const [links, setLinks] = useState(/** @type {Map<string, import("../live.js").GatewayState>} */ (new Map()));
  const [gapped, setGapped] = useState(0);

  /** @param {Reading[]} readings */
  function took(readings) {
    setLatest((before) => withNewer(before, readings));
    if (devices.data !== null && readings.some(({ device_id }) => !devices.data.devices.some((/** @type {Device} */ { id }) => id === device_id))) devices.reload();
  }
  useEffect(() => {
    if (newest.data !== null) took(newest.data.readings);
  }, [newest.data]);
  useRoom(`site-${site.id}`, (frame) => {
    if (frame.type === "snapshot" || frame.type === "reading") took(frame.data.readings);
    if (frame.type === "snapshot" || frame.type === "status") setLinks((before) => new Map([...before, ...frame.data.gateways.map((gateway) => /** @type {const} */ ([gateway.id, gateway]))]));
    if (frame.type === "gap") setGapped((count) => count + 1);
  }, async () => took((await get(`/readings/latest?site_id=${site.id}`)).readings));
  useEffect(() => setLinks(new Map()), [gateways.data]);

  /** @type {Device[]} */
  const all = devices.data?.devices ?? [];
  /** @type {Gateway[]} */
  const own = useMemo(() => (gateways.data?.gateways ?? []).filter((/** @type {Gateway} */ { site_id, revoked_at }) => site_id === site.id && revoked_at === null)
    .map((/** @type {Gateway} */ gateway) => ({ ...gateway, ...links.get(gateway.id) })), [gateways.data, links]);
  /** @type {Summary|null} */
  const summary = sums.data?.summaries.find((/** @type {Summary} */ { site_id }) => site_id === site.id) ?? null;
  const link = gateways.data === null ? summary?.link ?? null : bestOf(own);
  const seenAt = own.map(({ last_seen_at }) => last_seen_at).filter((time) => time !== null).sort().pop() ?? summary?.last_seen_at ?? null;
  const plant = plantOf(all, latest, now.value);
  const error = devices.error ?? newest.error;

  return html`<ul class="crumbs" aria-label="Where this is"><li><a href="/">Sites</a></li></ul>
    <div class="page-head"><div><h1>${site.name}</h1><p class="soft small">${site.river_name}, ${site.region} · ${at(now.value, site.timezone, "minute")} at the site (${zoneName(now.value, site.timezone)})</p></div>
      <div class="row">${link !== null && html`<${Badge} kind=${linkState(link).kind} title=${linkState(link).meaning}>${linkState(link).word}<//>`}
        ${site.metadata.virtual === true && html`<${Badge} kind="info" title="Everything at this site is simulated">virtual<//>`}
        ${site.status !== "active" && html`<${Badge} kind="warn">${site.status}<//>`}</div></div>
    <div class="stack">
      ${link === "lost" && html`<${Notice} kind="bad" title="The link to this site is lost">Last heard <${Age} time=${seenAt} zone=${site.timezone} />. The site goes on by itself, and what it measures follows when the link is back.<//>`}
      ${link === "never" && html`<${Notice} title="No gateway has reported yet">Enter its enrollment code on the box; <a href="/gateways">the gateways' page</a> has the command.<//>`}
      ${link === "none" && html`<${Notice} title="No gateway belongs to this site">Add one on <a href="/gateways">the gateways' page</a>; its devices appear here by themselves.<//>`}
      ${error !== null && html`<${Failed} title="Not up to date" error=${error} retry=${newest.reload} />`}
      <${Figures} site=${site} summary=${summary} plant=${plant} latest=${latest} />
      <section class="card stack" aria-labelledby="flows"><h2 id="flows">Power</h2>
        ${devices.data === null ? html`<${Loading} rows=${5} />` : html`<${Later} load=${() => import("./diagram.js").then((module) => module.Diagram)} plant=${plant} capacity=${site.capacity_kw} zone=${site.timezone} />`}</section>
      <${Later} load=${() => import("./site-devices.js").then((module) => module.Devices)} devices=${devices.data === null ? null : all} latest=${latest} zone=${site.timezone} lost=${link === "lost"} />
      <${Later} load=${() => import("./site-link.js").then((module) => module.Link)} gateways=${gateways.data === null ? null : own} devices=${all} zone=${site.timezone} changes=${gapped} />
    </div>`;
}

const ORDER = ["connected", "lost", "never"];
/**
 * The best link of some gateways.
 * @param {Gateway[]} gateways
 */
const bestOf = (gateways) => ORDER.find((link) => gateways.some((gateway) => gateway.link === link)) ?? "none";

/**
 * A part whose code comes after the first view.
 * @param {{load: () => Promise<import("../vendor/preact.js").Component>} & Record<string, any>} props
 */
function Later({ load, ...props }) {
  const [part, setPart] = useState(/** @type {{of: import("../vendor/preact.js").Component}|null} */ (null));
  const [failure, setFailure] = useState(/** @type {unknown} */ (null));
  useEffect(() => void load().then((of) => setPart({ of }), setFailure), []);
  if (failure !== null) return html`<${Failed} error=${failure} retry=${() => location.reload()} />`;
  return part === null ? html`<${Loading} rows=${4} />` : html`<${part.of} ...${props} />`;
}

/** @param {{site: Site, summary: Summary|null, plant: import("../plant.js").Plant, latest: Map<string, Reading>}} props */
function Figures({ site, summary, plant, latest }) {
  const known = plant.turbines.flatMap(({ kw }) => (kw === null ? [] : [kw]));
  const power = known.length === 0 ? null : known.reduce((sum, kw) => sum + kw, 0);
  const newest = [...latest.values()].map(({ timestamp }) => timestamp).sort().pop() ?? summary?.newest_at ?? null;
  const partly = summary !== null && summary.energy_today_kwh !== null && summary.coverage_today < COVERED_MIN;
  return html`<section class="card totals" aria-label="At a glance">
    <div><${Value} size="xl" label="Power now" metric="power_output_kw" value=${power} reason="nothing fresh" /><span class="soft small">${known.length < plant.turbines.length ? `${known.length} of ${counted(plant.turbines.length, "turbine")}, ` : ""}of ${quantity("power_output_kw", site.capacity_kw)}</span></div>
    <div><${Value} size="xl" label="Energy today" metric="energy_kwh" value=${summary?.energy_today_kwh} reason="nothing measured" />${partly && html`<span class="soft small">${percent(summary.coverage_today)} of the day known</span>`}</div>
    <div><span class="value-label">Newest reading</span><span class="totals-age"><${Age} time=${newest} staleAfterS=${summary !== null && summary.devices > 0 && plant.turbines.every(({ fresh }) => !fresh) ? 40 : undefined} zone=${site.timezone} /></span></div>
  </section>`;
}
