// The plain page: signs in, then shows the latest value of every metric of every device in sight,
// with unit, age and quality. It uses the public API only. Names come from people: they are set as
// text, never as HTML. The refresh token stays in a cookie that this script cannot read.

const API = "/api/v1";
const REFRESH_EVERY_MS = 5_000;
/** Over two intervals of a metered link. */
const STALE_AFTER_MS = 150_000;
const PAGE_ROWS = 1_000;
const REQUEST_TIMEOUT_MS = 20_000;

/**
 * @typedef {{id: string, name: string}} Site
 * @typedef {{id: string, site_id: string, device_name: string}} Device
 * @typedef {{id: string, device_id: string, timestamp: string, extra: Record<string, number|null>,
 *   quality: Record<string, string>, created_at: string} & Record<string, any>} Reading
 */

/**
 * Units stand last in a metric's name; those without one are named here.
 * @type {Record<string, string>}
 */
const UNITS = {
  kw: "kW", v: "V", a: "A", hz: "Hz", percent: "%", c: "°C", mmps: "mm/s", mps: "m/s", m: "m", rpm: "rpm",
  kwh: "kWh", kvarh: "kvarh", kva: "kVA", kvar: "kvar", g: "g", deg: "°", s: "s", ah: "Ah",
};
/** @type {Record<string, string>} */
const UNITS_BY_NAME = { vibration_level: "mm/s", water_flow_rate: "m³/s", power_factor: "", signal_quality: "" };
const NO_METRICS = new Set(["id", "device_id", "timestamp", "extra", "quality", "created_at", "time_uncertainty_s"]);

/**
 * The element of the page with this id; it is in index.html.
 * @param {string} id
 */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const signIn = /** @type {HTMLFormElement} */ (element("sign-in"));
const email = /** @type {HTMLInputElement} */ (signIn.elements.namedItem("email"));
const password = /** @type {HTMLInputElement} */ (signIn.elements.namedItem("password"));
/** @type {string|null} */
let accessToken = null;
/** @type {number|undefined} */
let timer;
/** Difference of the server's clock to this machine's, in ms: ages are told by the server's. */
let clockOffsetMs = 0;

class ApiProblem extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * @param {unknown} problem
 * @returns {problem is ApiProblem}
 */
const isSignedOut = (problem) => problem instanceof ApiProblem && problem.status === 401;

/** @param {unknown} problem */
const messageOf = (problem) => (problem instanceof Error ? problem.message : String(problem));

/**
 * Aborts what takes longer.
 * @param {number} ms
 */
function within(ms) {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error(`no answer within ${ms / 1_000} s`)), ms);
  return controller.signal;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 */
async function send(method, path, body) {
  const headers = new Headers();
  if (body !== undefined) headers.set("Content-Type", "application/json");
  if (accessToken !== null) headers.set("Authorization", `Bearer ${accessToken}`);
  const response = await fetch(API + path, {
    method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: within(REQUEST_TIMEOUT_MS),
  });
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (!Number.isNaN(date)) clockOffsetMs = date - Date.now();
  const answer = response.status === 204 ? null : await response.json();
  if (!response.ok) throw new ApiProblem(response.status, answer?.error?.message ?? `Status ${response.status}`);
  return answer;
}

/** New tokens by the cookie; one tab after the other, so that they do not spoil it for each other. */
async function renew() {
  const work = async () => {
    accessToken = null;
    const tokens = await send("POST", "/auth/refresh");
    accessToken = tokens.access_token;
    element("email").textContent = tokens.user.email;
  };
  return navigator.locks ? navigator.locks.request("riverwatts-refresh", work) : work();
}

/** @param {string} path */
async function get(path) {
  try {
    return await send("GET", path);
  } catch (problem) {
    if (!isSignedOut(problem)) throw problem;
    await renew();
    return send("GET", path);
  }
}

/** @param {string} noun */
async function getAll(noun) {
  const rows = [];
  /** @type {string|null} */
  let cursor = null;
  do {
    /** @type {any} */
    const page = await get(`/${noun}?limit=${PAGE_ROWS}&sort=created_at${cursor === null ? "" : `&cursor=${cursor}`}`);
    rows.push(...page[noun]);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return rows;
}

/**
 * @param {string} tag
 * @param {string} [text]
 * @param {string} [className]
 */
function make(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className !== undefined) made.className = className;
  return made;
}

/** @param {string} metric */
function unitOf(metric) {
  return UNITS_BY_NAME[metric] ?? UNITS[metric.slice(metric.lastIndexOf("_") + 1)] ?? "";
}

/** @param {string} metric */
function labelOf(metric) {
  const cut = metric.lastIndexOf("_");
  const bare = !(metric in UNITS_BY_NAME) && cut > 0 && metric.slice(cut + 1) in UNITS ? metric.slice(0, cut) : metric;
  const words = bare.replace(/^x_/, "").replaceAll("_", " ").replace(/^dc /, "DC ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @param {number} ms */
function ageText(ms) {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h ago`;
  return `${Math.floor(seconds / 86_400)} days ago`;
}

/**
 * @param {Device} device
 * @param {Reading|undefined} reading
 */
function deviceCard(device, reading) {
  const card = make("article");
  card.append(make("h3", device.device_name));
  if (reading === undefined) {
    card.append(make("p", "No reading yet", "age"));
    return card;
  }
  const age = make("p", "", "age");
  age.dataset.timestamp = reading.timestamp;
  card.append(age);
  const values = make("dl");
  const canonical = Object.entries(reading).filter(([name]) => !NO_METRICS.has(name));
  for (const [metric, value] of [...canonical, ...Object.entries(reading.extra ?? {})]) {
    const quality = reading.quality?.[metric];
    if (value === null && quality === undefined) continue;
    values.append(make("dt", labelOf(metric)));
    const shown = make("dd", value === null ? "–" : `${value.toLocaleString(undefined, { maximumFractionDigits: 3 })} ${unitOf(metric)}`);
    if (quality !== undefined) shown.append(" ", make("span", quality.replaceAll("_", " "), "quality"));
    values.append(shown);
  }
  card.append(values);
  return card;
}

function showAges() {
  for (const age of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-timestamp]"))) {
    const ms = Date.now() + clockOffsetMs - Date.parse(age.dataset.timestamp ?? "");
    age.textContent = ageText(ms);
    age.parentElement?.classList.toggle("stale", ms > STALE_AFTER_MS);
  }
}

async function refresh() {
  const state = element("state");
  try {
    const [sites, devices, latest] = await Promise.all([getAll("sites"), getAll("devices"), get("/readings/latest")]);
    const readings = new Map(latest.readings.map((/** @type {Reading} */ reading) => [reading.device_id, reading]));
    const shown = sites.map((/** @type {Site} */ site) => {
      const section = make("section");
      section.append(make("h2", site.name));
      const cards = make("div", undefined, "devices");
      cards.append(...devices.filter((/** @type {Device} */ device) => device.site_id === site.id).map((device) => deviceCard(device, readings.get(device.id))));
      section.append(cards.childElementCount > 0 ? cards : make("p", "No devices yet"));
      return section;
    });
    element("sites").replaceChildren(...shown);
    state.textContent = sites.length === 0 ? "You see no site yet; ask an administrator." : "";
    state.classList.remove("problem");
  } catch (problem) {
    if (isSignedOut(problem)) return showSignIn();
    state.textContent = `Not up to date: ${messageOf(problem)}`;
    state.classList.add("problem");
  }
  showAges();
  timer = setTimeout(refresh, REFRESH_EVERY_MS);
}

function showSignIn() {
  accessToken = null;
  element("sites").replaceChildren();
  element("latest").hidden = element("who").hidden = true;
  signIn.hidden = false;
  email.focus();
}

function showLatest() {
  signIn.hidden = true;
  element("latest").hidden = element("who").hidden = false;
  clearTimeout(timer);
  refresh();
}

signIn.addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = element("sign-in-problem");
  problem.textContent = "";
  try {
    const tokens = await send("POST", "/auth/login", { email: email.value, password: password.value });
    accessToken = tokens.access_token;
    element("email").textContent = tokens.user.email;
    signIn.reset();
    showLatest();
  } catch (error) {
    problem.textContent = messageOf(error);
    password.focus();
  }
});

element("sign-out").addEventListener("click", async () => {
  clearTimeout(timer);
  try {
    await send("POST", "/auth/logout");
  } catch {
    // Without a connection the session ends by itself; this page forgets it in any case.
  }
  showSignIn();
});

setInterval(showAges, 1_000);
renew().then(showLatest, showSignIn);
