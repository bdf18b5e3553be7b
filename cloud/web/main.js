// The dashboard: its pages by address, the frame around them, and the sign-in before them.

import { html, render, useEffect } from "./vendor/preact.js";
import "./kit/format.js";
import { Badge, Failed, Loading, Offline } from "./kit/value.js";
import { Menu, Routes, Shell, announce, go, place, toast, useTitle } from "./kit/shell.js";
import { session, signOut, start } from "./session.js";
import "./request.js";
import { heard, heardAt } from "./live.js";

/** @type {import("./kit/shell.js").Route[]} */
const ROUTES = [
  { path: "/", load: () => import("./pages/fleet.js") },
  { path: "/sites/new", load: () => import("./pages/new-site.js") },
  { path: "/sites/:id", load: () => import("./pages/site.js") },
  { path: "/devices/:id", load: () => import("./pages/device.js") },
  { path: "/gateways", load: () => import("./pages/gateways.js") },
  { path: "/styleguide", load: () => import("./kit/styleguide.js") },
];
/** @type {import("./kit/shell.js").Route[]} */
const SIGN_IN = [{ path: ".*", load: () => import("./pages/sign-in.js") }];

/** @type {Record<import("./live.js").State, [kind: import("./kit/format.js").Kind, word: string, meaning: string]>} */
const HEARD = {
  joining: ["quiet", "connecting", "the live connection is being made"],
  live: ["good", "live", "values arrive as they are measured"],
  reconnecting: ["warn", "reconnecting", "the live connection was cut; what is shown is the latest known"],
  asking: ["warn", "every 10 s", "no live connection; the page asks every 10 seconds"],
  offline: ["bad", "offline", "no connection to the server; what is shown is the latest known"],
};

function Heard() {
  const state = heard.value;
  const said = state === null || state === "joining" ? null : HEARD[state];
  useEffect(() => {
    if (said !== null && state !== "live") announce(said[2]);
  }, [state]);
  return state === null ? null : html`<${Badge} kind=${HEARD[state][0]} title=${HEARD[state][2]}>${HEARD[state][1]}<//>`;
}

async function leave() {
  if (!(await signOut())) toast("The server was not reached: close the browser to end the session on this machine.", "bad");
}

/** @param {{user: import("./request.js").User}} props */
function Account({ user }) {
  return html`<${Menu} label=${html`<svg class="account-mark" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d="M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM2.5 14a5.5 5.5 0 0 1 11 0" /></svg><span class="account-name">${user.first_name || user.email}</span>`}>
    <p class="account-who"><b>${user.first_name} ${user.last_name}</b><br /><span class="soft small">${user.email}</span></p>
    <p><${Badge} kind="info">${user.role}<//></p>
    <button type="button" class="button" onClick=${leave}>Sign out</button>
  <//>`;
}

function Missing() {
  useTitle("Not found");
  return html`<div class="page-head"><h1>There is no such page</h1></div><p>Nothing stands at <code>${place.value.path}</code>. <a href="/">Go to the sites</a>.</p>`;
}

function App() {
  const { state, user, failure } = session.value;
  const signedIn = state === "in" && user !== null;
  useEffect(() => {
    if (signedIn && place.value.path === "/sign-in") go("/", { replace: true });
  }, [signedIn, place.value.path]);
  const links = !signedIn ? [] : [{ href: "/", label: user.role === "customer" ? "Sites" : "Fleet" }, ...(user.role === "customer" ? [] : [{ href: "/gateways", label: "Gateways" }])];
  return html`<${Shell} name="RiverWatts" links=${links} status=${signedIn && html`<${Heard} />`} account=${signedIn && html`<${Account} user=${user} />`}
      banner=${signedIn && heard.value === "offline" && html`<${Offline} since=${heardAt} />`}>
    ${signedIn ? html`<${Routes} key=${user.id} routes=${ROUTES} missing=${Missing} />`
    : state === "out" || place.value.path === "/styleguide" ? html`<${Routes} key="out" routes=${place.value.path === "/styleguide" ? ROUTES : SIGN_IN} missing=${Missing} />`
    : failure !== null ? html`<${Failed} title="The server cannot be reached" error=${failure} retry=${start} />`
    : html`<${Loading} rows=${6} />`}
  <//>`;
}

render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
