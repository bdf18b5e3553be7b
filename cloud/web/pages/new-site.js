// A new site, made by an admin: what everything else belongs to.

import { html } from "../vendor/preact.js";
import { go, toast, useTitle } from "../kit/shell.js";
import { Field, Form } from "../kit/form.js";
import { send, useOnce } from "../request.js";
import { isAdmin } from "../session.js";

const NUMBERS = ["latitude", "longitude", "capacity_kw"];

export default function NewSite() {
  useTitle("Add a site");
  const once = useOnce();
  if (!isAdmin()) return html`<div class="page-head"><h1>Not permitted</h1></div><p>Administrators add sites. <a href="/">Go to the sites</a>.</p>`;
  /** @param {Record<string, string>} values */
  async function create(values) {
    const body = Object.fromEntries(Object.entries(values).map(([field, text]) => [field, NUMBERS.includes(field) ? numberOf(text) : text.trim()]));
    const wrong = Object.entries(body).filter(([, value]) => value === "" || Number.isNaN(value)).map(([field, value]) => ({ field, message: value === "" ? "is needed" : "is no number" }));
    if (wrong.length > 0) throw Object.assign(new Error("Check the marked fields."), { details: wrong });
    const site = await send("POST", "/sites", body, once(body));
    toast(`${site.name} is there; now add its gateway`);
    go(`/gateways?new=${site.id}`);
  }
  const zones = /** @type {any} */ (Intl).supportedValuesOf?.("timeZone") ?? [];
  return html`<ul class="crumbs" aria-label="Where this is"><li><a href="/">Sites</a></li></ul><div class="page-head"><h1>Add a site</h1></div>
    <section class="card"><${Form} label="Add a site" submit="Add the site" send=${create} cancel=${() => go("/")}>
      <${Field} name="name" label="Name" required autocomplete="off" />
      <${Field} name="river_name" label="River" required autocomplete="off" />
      <${Field} name="region" label="Region" required autocomplete="off" hint="Such as “Nenana, Alaska”." />
      <${Field} name="latitude" label="Latitude, degrees north" inputmode="decimal" required autocomplete="off" />
      <${Field} name="longitude" label="Longitude, degrees east" inputmode="decimal" required autocomplete="off" hint="West is negative." />
      <${Field} name="capacity_kw" label="Rated power of all turbines, kW" inputmode="decimal" required autocomplete="off" />
      <${Field} name="timezone" label="Time zone" list="zones" value=${Intl.DateTimeFormat().resolvedOptions().timeZone} required autocomplete="off" hint="Its clocks make the site's days." />
      <datalist id="zones">${zones.map((/** @type {string} */ zone) => html`<option key=${zone} value=${zone}></option>`)}</datalist>
      <${Field} name="currency" label="Currency" value="USD" maxlength="3" required autocomplete="off" hint="Three letters, as on bills." />
    <//></section>`;
}

/** @param {string} text with a point or a comma */
const numberOf = (text) => (text.trim() === "" ? "" : Number(text.trim().replace(",", ".")));
