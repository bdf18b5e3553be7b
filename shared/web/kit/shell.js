// The frame of every page: routes by path, header with navigation, theme, messages, and what a screen reader hears.

import { html, signal, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { Failed, Loading } from "./value.js";

/** @typedef {import("../vendor/preact.js").Children} Children */
/** @typedef {import("../vendor/preact.js").Component} Component */

// Routes

/** Where the page is. */
export const place = signal({ path: location.pathname, query: new URLSearchParams(location.search) });

/**
 * The pages' routes, so that links to other addresses (files, API pages) are left to the browser.
 * @type {Route[]}
 */
let known = [];

const arrive = () => {
  place.value = { path: location.pathname, query: new URLSearchParams(location.search) };
};
addEventListener("popstate", arrive);

/**
 * Goes to an address of this program without loading the page again.
 * @param {string} href
 * @param {{replace?: boolean}} how `replace` leaves no step in the history.
 */
export function go(href, how = {}) {
  const path = new URL(href, location.href).pathname;
  const moves = path !== location.pathname;
  history[how.replace ? "replaceState" : "pushState"](null, "", href);
  arrive();
  if (moves) scrollTo(0, 0);
}

/**
 * Changes the address's query, so that a view can be linked to; null takes a name away.
 * @param {Record<string, string|null>} changes
 * @param {{replace?: boolean}} how
 */
export function goQuery(changes, how = { replace: true }) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) value === null ? query.delete(name) : query.set(name, value);
  const text = query.toString();
  go(location.pathname + (text === "" ? "" : `?${text}`), how);
}

addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (link === null || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || link.target !== "" || link.hasAttribute("download")) return;
  if (link.hash !== "" && link.pathname === location.pathname) return;
  if (find(known, link.pathname) === null) return;
  event.preventDefault();
  go(link.href);
});

/**
 * A page's component, or how to load the module whose default export it is.
 * @typedef {{path: string, page: Component, load?: undefined} | {path: string, page?: undefined, load: () => Promise<{default: Component}>}} Route
 *   `path` like `/sites/:id`
 */

/**
 * The first route that fits a path, with its parameters.
 * @param {Route[]} routes
 * @param {string} path
 * @returns {{route: Route, params: Record<string, string>}|null}
 */
export function find(routes, path) {
  for (const route of routes) {
    const names = /** @type {string[]} */ ([]);
    const pattern = route.path.replace(/:(\w+)/g, (_, name) => (names.push(name), "([^/]+)"));
    const match = new RegExp(`^${pattern}/?$`).exec(path);
    if (match !== null) return { route, params: Object.fromEntries(names.map((name, index) => [name, decoded(match[index + 1])])) };
  }
  return null;
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Pages that were loaded.
 * @type {Map<Route, Component>}
 */
const loaded = new Map();

/**
 * The page of the address; it gets its parameters and `query`. Until a new page's module is there the old page
 * stays. When the path has changed, the focus goes to the new page's heading.
 * @param {{routes: Route[], missing: Component}} props `missing` stands where no route fits.
 */
export function Routes({ routes, missing }) {
  known = routes;
  const { path, query } = place.value;
  const found = find(routes, path);
  const route = found?.route;
  const page = route === undefined ? missing : route.page ?? loaded.get(route);
  const shown = useRef(/** @type {{path: string, page: Component, params: Record<string, string>}|null} */ (null));
  const focused = useRef(/** @type {string|null} */ (null));
  const [, setArrived] = useState(0);
  const [failure, setFailure] = useState(/** @type {{route: Route, error: unknown}|null} */ (null));

  useEffect(() => {
    if (route === undefined || page !== undefined) return;
    route.load?.().then((module) => {
      loaded.set(route, module.default);
      setArrived((count) => count + 1);
    }, (error) => setFailure({ route, error }));
  }, [route]);
  useLayoutEffect(() => {
    if (page === undefined) return;
    if (focused.current !== null && focused.current !== path) focusHeading();
    focused.current = path;
  }, [path, page]);

  if (page !== undefined) shown.current = { path, page, params: found?.params ?? {} };
  if (page === undefined && failure?.route === route) {
    return html`<${Failed} title="This page could not be loaded" error=${failure?.error} retry=${() => location.reload()} />`;
  }
  if (shown.current === null) return html`<${Loading} rows=${6} />`;
  const { page: Page, params, path: key } = shown.current;
  return html`<div class="page" aria-busy=${page === undefined} key=${key}><${Page} ...${params} query=${query} /></div>`;
}

/**
 * Waits for the heading of a page that still loads.
 * @type {MutationObserver}
 */
const headingWatch = new MutationObserver(() => document.activeElement?.id === "main" ? focusHeading() : headingWatch.disconnect());

function focusHeading() {
  headingWatch.disconnect();
  const main = document.getElementById("main");
  const heading = main?.querySelector("h1");
  if (main !== null && !heading) headingWatch.observe(main, { childList: true, subtree: true });
  const target = heading ?? main;
  if (!target || target === document.activeElement) return;
  target.tabIndex = -1;
  target.focus({ preventScroll: true });
}

/**
 * Sets the document's title while a page is shown.
 * @param {string|null} title null while it is not known
 */
export function useTitle(title) {
  useEffect(() => {
    document.title = title === null ? "RiverWatts" : `${title} · RiverWatts`;
  }, [title]);
}

// Theme

const THEME_KEY = "riverwatts-theme";
const systemNight = matchMedia("(prefers-color-scheme: dark)");

/**
 * What a person chose, where it differs from the system.
 * @returns {string|null}
 */
function storedTheme() {
  try {
    return localStorage.getItem(THEME_KEY);
  } catch {
    return null;
  }
}

const systemTheme = () => (systemNight.matches ? "night" : "day");
/** @type {import("../vendor/preact.js").Signal<"day"|"night">} */
const chosen = signal(/** @type {any} */ (storedTheme() ?? systemTheme()));
/** The theme on screen; charts draw themselves again with it. */
export const theme = /** @type {import("../vendor/preact.js").ReadonlySignal<"day"|"night">} */ (chosen);

/** @param {"day"|"night"} wanted */
function showTheme(wanted) {
  document.documentElement.dataset.theme = wanted;
  chosen.value = wanted;
}
showTheme(chosen.value);
systemNight.addEventListener("change", () => storedTheme() === null && showTheme(systemTheme()));

/** @param {"day"|"night"} wanted what equals the system's follows the system again */
export function chooseTheme(wanted) {
  try {
    if (wanted === systemTheme()) localStorage.removeItem(THEME_KEY);
    else localStorage.setItem(THEME_KEY, wanted);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  showTheme(wanted);
}

/** A button that turns day to night and back. */
export function ThemeSwitch() {
  const other = theme.value === "day" ? "night" : "day";
  const path = other === "night" ? "M13.5 9.7A6 6 0 0 1 6.3 2.5a6 6 0 1 0 7.2 7.2Z" : "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM8 .8v1.7M8 13.5v1.7M.8 8h1.7M13.5 8h1.7M2.9 2.9l1.2 1.2M11.9 11.9l1.2 1.2M2.9 13.1l1.2-1.2M11.9 4.1l1.2-1.2";
  return html`<button type="button" class="icon-button" aria-label=${`Use the ${other} theme`} title=${`Use the ${other} theme`} onClick=${() => chooseTheme(other)}>
    <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true"><path d=${path} /></svg>
  </button>`;
}

// Messages

const TOAST_MS = 6_000;
const TOASTS_MAX = 3;
let toastId = 0;
const toasts = signal(/** @type {{id: number, text: string, kind: "good"|"bad"|"info"}[]} */ ([]));
const spoken = signal("");

/**
 * A message that goes by itself; one of kind `bad` stays until it is closed.
 * @param {string} text
 * @param {"good"|"bad"|"info"} [kind]
 */
export function toast(text, kind = "good") {
  const id = ++toastId;
  toasts.value = [...toasts.value, { id, text, kind }].slice(-TOASTS_MAX);
  if (kind !== "bad") setTimeout(() => endToast(id), TOAST_MS);
}

/** @param {number} id */
const endToast = (id) => {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
};

/**
 * Says something to those who do not see the page.
 * @param {string} text
 */
export function announce(text) {
  spoken.value = text;
}

/** What was said, in the frame and in an open dialog: all outside of that cannot be reached. */
export function Messages() {
  return html`<div class="toasts" role="log" aria-live="polite">
    ${toasts.value.map(({ id, text, kind }) => html`<div key=${id} class=${`toast ${kind}`}><span>${text}</span><button type="button" class="icon-button" aria-label="Close" onClick=${() => endToast(id)}>×</button></div>`)}
  </div><div class="unseen" role="status">${spoken.value}</div>`;
}

// Frame

/**
 * A button with a small panel below it; it closes by Escape, by a click elsewhere and by a choice.
 * @param {{label: Children, children?: Children}} props
 */
export function Menu({ label, children }) {
  const menu = useRef(/** @type {HTMLDetailsElement|null} */ (null));
  useEffect(() => {
    /** @param {Event} event */
    const close = (event) => {
      const details = menu.current;
      if (details === null || !details.open) return;
      const key = event instanceof KeyboardEvent;
      if (key ? event.key !== "Escape" : details.querySelector("summary")?.contains(/** @type {Node} */ (event.target))) return;
      if (!key && details.contains(/** @type {Node} */ (event.target)) && !(event.target instanceof Element && event.target.closest("a, button"))) return;
      details.open = false;
      if (key) details.querySelector("summary")?.focus();
    };
    document.addEventListener("click", close);
    document.addEventListener("keydown", close);
    return () => {
      document.removeEventListener("click", close);
      document.removeEventListener("keydown", close);
    };
  }, []);
  return html`<details class="menu" ref=${menu}><summary class="button">${label}</summary><div class="menu-panel">${children}</div></details>`;
}

/**
 * The page around the pages.
 * @param {{name: Children, links: {href: string, label: string}[], status?: Children, account?: Children,
 *   banner?: Children, children?: Children}} props
 *   `status` is short and always seen, `account` stands at the end, `banner` above the content.
 */
export function Shell({ name, links, status, account, banner, children }) {
  const { path } = place.value;
  /** @param {string} href */
  const current = (href) => (href === "/" ? path === "/" : path === href || path.startsWith(`${href}/`));
  /** @param {MouseEvent} event */
  const skip = (event) => {
    event.preventDefault();
    document.getElementById("main")?.focus();
  };
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="top">
      <a class="brand" href="/"><svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true"><path class="drop" d="M13.5 2 5 13.5h5.5L9.5 22 19 9.5h-6z" /><path class="wave" d="M1 19q2.8-3 5.5 0t5.5 0 5.5 0 5.5 0" /></svg><span>${name}</span></a>
      ${links.length > 0 && html`<nav aria-label="Main"><ul>${links.map(({ href, label }) => html`<li key=${href}><a href=${href} aria-current=${current(href) ? "page" : undefined}>${label}</a></li>`)}</ul></nav>`}
      <div class="top-end">${status}<${ThemeSwitch} />${account}</div>
    </header>
    <main id="main" tabindex="-1">${banner}${children}</main>
    <${Messages} />`;
}
