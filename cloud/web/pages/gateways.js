// The gateways with their links; admins add one, and watch it arrive, revoke it, or give it a new credential.

import { html, useMemo, useState } from "../vendor/preact.js";
import { at, linkState, msOf } from "../kit/format.js";
import { Age, Badge, Empty, Failed, Loading } from "../kit/value.js";
import { goQuery, toast, useTitle } from "../kit/shell.js";
import { Table } from "../kit/table.js";
import { Field, Form } from "../kit/form.js";
import { Dialog } from "../kit/dialog.js";
import { getAll, send, useGet, useOnce } from "../request.js";
import { isAdmin } from "../session.js";
import { useRoom } from "../live.js";
import { Command, Enroll } from "./enroll.js";

/** @typedef {import("../api").Gateway} Gateway */
/** @typedef {import("../api").Site} Site */
/** @typedef {Gateway & {site: Site|null}} Row */
/** @typedef {{kind: "revoke"|"rotate"|"replace", gateway: Gateway, credential?: string}} Asked */

const GATEWAYS = "/gateways?limit=1000&sort=created_at";
const AGAIN_MS = 30_000;

/** @param {{query: URLSearchParams}} props */
export default function Gateways({ query }) {
  useTitle("Gateways");
  const gateways = useGet(GATEWAYS, { noun: "gateways", everyMs: AGAIN_MS });
  const sites = useGet("/sites?limit=1000&sort=created_at", { noun: "sites" });
  const [made, setMade] = useState(/** @type {import("./enroll.js").Coded|null} */ (null));
  const [asked, setAsked] = useState(/** @type {Asked|null} */ (null));
  const admin = isAdmin();
  const adding = admin && query.has("new") && made === null;
  useRoom("fleet", (frame) => {
    if (frame.type === "status" && frame.data.gateways.length > 0) gateways.reload();
  }, async () => gateways.put(await getAll(GATEWAYS, "gateways")));

  /** @type {Row[]} */
  const rows = useMemo(() => {
    const byId = new Map((sites.data?.sites ?? []).map((/** @type {Site} */ site) => [site.id, site]));
    return (gateways.data?.gateways ?? []).map((/** @type {Gateway} */ gateway) => ({ ...gateway, site: byId.get(gateway.site_id) ?? null }));
  }, [gateways.data, sites.data]);
  const error = gateways.error ?? sites.error;
  return html`<div class="page-head"><h1>Gateways</h1>
      ${admin && !adding && made === null && html`<button type="button" class="button primary" onClick=${() => goQuery({ new: "" })}>Add a gateway</button>`}</div>
    <div class="stack">
      ${error !== null && html`<${Failed} title="Not up to date" error=${error} retry=${gateways.reload} />`}
      ${adding && sites.data !== null && html`<${Add} sites=${sites.data.sites} chosen=${query.get("new") ?? ""} done=${(/** @type {any} */ created) => {
        setMade(created);
        goQuery({ new: null });
        gateways.reload();
      }} />`}
      ${made !== null && html`<${Enroll} gateway=${made} site=${sites.data?.sites.find((/** @type {Site} */ { id }) => id === made.site_id) ?? null} arrived=${gateways.reload} done=${() => setMade(null)} />`}
      ${gateways.data === null ? error === null && html`<${Loading} rows=${5} />` : html`<${Table} caption="Gateways" columns=${columnsOf(admin, setAsked)} rows=${rows} rowKey=${(/** @type {Row} */ row) => row.id} order="state"
        rowClass=${(/** @type {Row} */ row) => (row.revoked_at === null ? undefined : "revoked")}
        empty=${html`<${Empty} title="No gateway yet">A gateway is the box at the site that reads its devices. ${admin ? "Add one here and enter its code on the box." : "An administrator adds one."}<//>`} />`}
    </div>
    ${asked !== null && html`<${Ask} asked=${asked} setAsked=${setAsked} setMade=${setMade} reload=${gateways.reload} />`}`;
}

const RANKS = ["lost", "never", "connected"];
/** @param {Row} row */
const rank = (row) => (row.revoked_at !== null ? RANKS.length : RANKS.indexOf(row.link));

/**
 * @param {boolean} admin
 * @param {(asked: Asked) => void} ask
 * @returns {import("../kit/table.js").Column<Row>[]}
 */
const columnsOf = (admin, ask) => [
  { key: "name", label: "Gateway", head: true, sort: (row) => row.name, cell: (row) => row.name },
  { key: "site", label: "Site", sort: (row) => row.site?.name ?? null, cell: (row) => (row.site === null ? null : html`<a href=${`/sites/${row.site_id}`}>${row.site.name}</a>`) },
  { key: "state", label: "Link", sort: rank, cell: (row) => (row.revoked_at !== null ? html`<${Badge}>revoked<//>` : row.enrolled_at === null ? html`<${Badge} kind="info" title="Its code has not been used yet">not enrolled<//>` : html`<${Badge} kind=${linkState(row.link).kind} title=${linkState(row.link).meaning}>${linkState(row.link).word}<//>`) },
  { key: "seen", label: "Last seen", sort: (row) => msOf(row.last_seen_at), cell: (row) => html`<${Age} time=${row.last_seen_at} zone=${row.site?.timezone} />` },
  { key: "enrolled", label: "Enrolled", sort: (row) => msOf(row.enrolled_at), cell: (row) => (row.enrolled_at === null ? "no" : at(row.enrolled_at, row.site?.timezone ?? "UTC", "date")) },
  ...(admin ? [{ key: "actions", label: "Actions", cell: (/** @type {Row} */ row) => (row.revoked_at === null ? html`<span class="actions">
      ${row.enrolled_at !== null && html`<button type="button" class="button" aria-label=${`Replace ${row.name}`} onClick=${() => ask({ kind: "replace", gateway: row })}>Replace</button>
      <button type="button" class="button" aria-label=${`Rotate the credential of ${row.name}`} onClick=${() => ask({ kind: "rotate", gateway: row })}>Rotate</button>`}
      <button type="button" class="button danger" aria-label=${`Revoke ${row.name}`} onClick=${() => ask({ kind: "revoke", gateway: row })}>Revoke</button></span>` : `since ${at(row.revoked_at, row.site?.timezone ?? "UTC", "date")}`) }] : []),
];

/** @param {{sites: Site[], chosen: string, done: (created: import("../api").CreatedGateway) => void}} props `chosen` is a site's id */
function Add({ sites, chosen, done }) {
  const once = useOnce();
  if (sites.length === 0) return html`<${Empty} title="There is no site yet" action=${html`<a class="button primary" href="/sites/new">Add a site</a>`}>A gateway belongs to a site.<//>`;
  /** @param {Record<string, string>} values */
  async function create({ site_id, name }) {
    if (name.trim() === "") throw Object.assign(new Error("Check the marked field."), { details: [{ field: "name", message: "is needed" }] });
    const body = { site_id, name: name.trim() };
    done(await send("POST", "/gateways", body, once(body)));
  }
  return html`<section class="card stack" aria-labelledby="add"><h2 id="add">Add a gateway</h2>
    <${Form} label="Add a gateway" submit="Create its code" send=${create} cancel=${() => goQuery({ new: null })}>
      <${Field} name="site_id" label="Site" type="select" value=${chosen} options=${sites.map(({ id, name }) => ({ value: id, label: name }))} />
      <${Field} name="name" label="Name" required autocomplete="off" maxlength="200" hint="What people call the box, such as “Gateway in the boat house”." />
    <//></section>`;
}

/** @param {{asked: Asked, setAsked: (asked: Asked|null) => void, setMade: (made: import("./enroll.js").Coded) => void, reload: () => void}} props */
function Ask({ asked: { kind, gateway, credential }, setAsked, setMade, reload }) {
  const close = () => setAsked(null);
  if (kind === "revoke") {
    const revoke = async () => {
      await send("POST", `/gateways/${gateway.id}/revoke`);
      close();
      toast(`${gateway.name} is revoked`);
      reload();
    };
    return html`<${Dialog} title=${`Revoke ${gateway.name}?`} close=${close}><div class="stack"><p>Its access ends at once and for good; what it has sent stays. The box goes on measuring, but its readings wait until it is enrolled again with a new code.</p>
      <${Form} label="Revoke" submit="Revoke" danger send=${revoke} cancel=${close} /></div><//>`;
  }
  if (kind === "replace") {
    const replace = async () => {
      setMade({ ...gateway, ...(await send("POST", `/gateways/${gateway.id}/replace`)), replaces: gateway.enrolled_at });
      close();
    };
    return html`<${Dialog} title=${`A new box or card for ${gateway.name}?`} close=${close}><div class="stack"><p>For a box that is broken, or whose card is. Whoever enters the code becomes ${gateway.name}: with its devices and, where the new card has none, its settings as the cloud has them. Passwords are not among these.</p>
      <p>The old box is let in until the new one is first heard. What it had not sent yet is missing then, and shown as a gap.</p>
      <${Form} label="Replace" submit="Create its code" send=${replace} cancel=${close} /></div><//>`;
  }
  if (credential !== undefined) {
    return html`<${Dialog} title=${`New credential of ${gateway.name}`} close=${close}><div class="stack"><p>It is shown this once. Put it into <code>credential.json</code> in the gateway's data folder, as <code>credential</code>. The old one holds until this one is first used, 24 hours at most.</p>
      <${Command} text=${credential} name="credential" /><div class="form-actions"><button type="button" class="button" onClick=${close}>Done</button></div></div><//>`;
  }
  const rotate = async () => setAsked({ kind, gateway, credential: (await send("POST", `/gateways/${gateway.id}/rotate`)).credential });
  return html`<${Dialog} title=${`A new credential for ${gateway.name}?`} close=${close}><div class="stack"><p>For a box whose credential somebody may have seen. The new one has to be put on the box within 24 hours; until it is used, the old one holds.</p>
    <${Form} label="Rotate" submit="Make a new credential" send=${rotate} cancel=${close} /></div><//>`;
}
