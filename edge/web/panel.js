// The technician's page: the site, its devices, its buses, its clock and the link to the cloud.

import { html, render } from "./vendor/preact.js";
import { Routes, Shell, find, useTitle } from "./kit/shell.js";
import { Badge, Offline } from "./kit/value.js";
import { counted } from "./kit/format.js";
import { asking, recall, signOut, signedIn } from "./change.js";
import { ask, begin, gateway, lost } from "./gateway.js";

/** @typedef {import("./kit/shell.js").Route} Route */

const LINKS = [{ href: "/", label: "Site" }, { href: "/devices", label: "Devices" }, { href: "/buses", label: "Buses" }, { href: "/link", label: "Cloud link" }];

/** @type {Record<string, () => Promise<{default: import("./vendor/preact.js").Component}>>} */
const PAGES = {
  "/": () => import("./pages/site.js"),
  "/devices": () => import("./pages/devices.js"),
  "/devices/:id": () => import("./pages/device.js"),
  "/buses": () => import("./pages/buses.js"),
  "/link": () => import("./pages/link.js"),
  "/clock": () => import("./pages/clock.js"),
  "/dead-letters": () => import("./pages/dead-letters.js"),
};

function Missing() {
  useTitle("Not found");
  return html`<h1>Not found</h1><p>There is no such page. <a href="/">Back to the site</a></p>`;
}

function Status() {
  if (lost.value !== null) return html`<${Badge} kind="bad">no answer<//>`;
  const ill = gateway.value.site.parts.filter(({ condition }) => condition !== "ok");
  if (ill.length === 0) return html`<${Badge} kind="good">all well<//>`;
  return html`<a href="/"><${Badge} kind=${ill.some(({ condition }) => condition === "failure") ? "bad" : "warn"}>${counted(ill.length, "trouble")}<//></a>`;
}

/** @param {{routes: Route[]}} props */
function Panel({ routes }) {
  const banner = lost.value !== null && html`<${Offline} since=${lost.value.since} retryAt=${lost.value.retryAt} retry=${ask} what="the gateway" />`;
  const account = signedIn.value && html`<button type="button" class="button" onClick=${signOut}>Sign out</button>`;
  return html`<${Shell} name="RiverWatts" links=${LINKS} status=${html`<${Status} />`} account=${account} banner=${banner}>
    <${Routes} routes=${routes} missing=${Missing} />
  <//>
  ${asking.value !== null && html`<${asking.value.Question} end=${asking.value.end} />`}`;
}

/** The page of the address is there before anything is drawn: what the gateway wrote stays until then. */
async function start() {
  /** @type {Route[]} */
  const routes = Object.entries(PAGES).map(([path, load]) => ({ path, load }));
  const route = find(routes, location.pathname)?.route;
  const page = await route?.load?.();
  begin();
  const ready = routes.map((each) => (each === route && page !== undefined ? { path: each.path, page: page.default } : each));
  render(html`<${Panel} routes=${ready} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
  recall();
  // Where the network is bad, no page should be out of reach later.
  await Promise.allSettled(Object.values(PAGES).map((load) => load()));
}

start();
