// Shows the latest values, the buses and the link, and asks again every two seconds.
// Everything that comes from a device or a file is set as text, never as markup.

const EVERY_MS = 2000;
const TIMEOUT_MS = 8000;

/**
 * @typedef {{metric: string, unit: string, value: number|null, quality: string}} Value
 * @typedef {{id: string, bus: string, unit: number, manufacturer: string, model: string, state: string,
 *   stale: boolean, age_s: number|null, values: Value[]}} Device
 * @typedef {{device: string, unit: number, polls: number, ok: number, exception: number, timeout: number,
 *   bad_frame: number, lost: number, silences: number, round_trip_ms: number, last_error: string|null,
 *   refused_registers: object[]}} Unit
 * @typedef {{id: string, kind: string, target: string, state: string, load: number, units: Unit[]}} Bus
 * @typedef {{enrolled: boolean, state: string, backlog_readings: number}} Link
 * @typedef {{name: string, timezone: string, version: string, time: string|null, polling: boolean,
 *   storing: boolean}} Site
 */

/**
 * The element of the page with this id; it is in index.html.
 * @param {string} id
 */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * An element with attributes and children; strings become text.
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {(Node|string|null)[]} children
 */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

/**
 * Aborts what takes longer.
 * @param {number} ms
 */
function within(ms) {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error(`no answer within ${ms / 1_000} s`)), ms);
  return controller.signal;
}

/** @param {string} path */
async function ask(path) {
  const answer = await fetch(path, { signal: within(TIMEOUT_MS), cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/** @param {number|null} seconds */
function age(seconds) {
  if (seconds === null) return "never";
  if (seconds < 1) return "now";
  if (seconds < 100) return `${Math.round(seconds)} s ago`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

const figures = new Intl.NumberFormat(undefined, { maximumFractionDigits: 4 });

/**
 * `water_speed_mps` as "water speed": the unit stands beside the number.
 * @param {string} metric
 */
function spoken(metric) {
  const name = metric.replace(/^x_/, "").replace(/_(kw|v|a|hz|percent|c|mmps|kwh|kvarh|kva|kvar|mps|m|rpm|s|ah|g|deg)$/, "");
  return name.replaceAll("_", " ").replace(/^dc /, "DC ");
}

/** @param {Value} value */
function valueRow(value) {
  const shown = value.value === null ? "–" : figures.format(value.value);
  const doubt = value.quality === "ok" ? null : make("span", { class: "chip warn doubt" }, value.quality.replaceAll("_", " "));
  const unit = value.unit && value.value !== null ? make("span", { class: "unit" }, ` ${value.unit}`) : null;
  return make("tr", {}, make("th", { scope: "row", title: value.metric }, spoken(value.metric)), make("td", {}, shown, unit, doubt));
}

/** @param {Device} device */
function deviceCard(device) {
  const state = device.stale ? (device.age_s === null ? "bad" : "warn") : "good";
  return make("article", { class: device.stale ? "card stale" : "card" },
    make("div", {}, make("h3", {}, device.id), make("span", { class: `chip ${state}` }, age(device.age_s))),
    make("p", { class: "quiet" }, `${device.manufacturer} ${device.model} · ${device.bus}, unit ${device.unit}`),
    device.stale ? make("p", { class: "trouble" }, device.state) : null,
    device.values.length ? make("table", {}, make("tbody", {}, ...device.values.map(valueRow))) : null);
}

/** @param {Unit} unit */
function unitRow(unit) {
  const failed = unit.exception + unit.timeout + unit.bad_frame + unit.lost;
  const text = `${unit.ok} of ${unit.polls} polls, ${unit.round_trip_ms} ms`;
  const doubt = unit.silences > 0 ? make("span", { class: "chip warn doubt" }, "silent") : null;
  return make("tr", {}, make("th", { scope: "row", title: `${failed} failed` }, `${unit.device} (${unit.unit})`), make("td", {}, text, doubt));
}

/** @param {Bus} bus */
function busCard(bus) {
  const well = bus.state === "all devices answer";
  const units = bus.units.filter((unit) => unit.silences > 0 || unit.refused_registers.length > 0);
  const troubles = units.map((unit) => make("p", { class: "trouble" }, `${unit.device}: ${unit.last_error ?? "registers refused"}`));
  return make("article", { class: "card" },
    make("div", {}, make("h3", {}, bus.id), make("span", { class: `chip ${well ? "good" : "warn"}` }, `load ${Math.round(bus.load * 100)} %`)),
    make("p", { class: well ? "quiet" : "trouble" }, bus.state),
    make("p", { class: "quiet" }, `${bus.kind} ${bus.target}`),
    ...troubles,
    make("table", {}, make("tbody", {}, ...bus.units.map(unitRow))));
}

/** @param {Link} link */
function showLink(link) {
  const chip = byId("link");
  const waiting = link.backlog_readings > 0 ? ` · ${figures.format(link.backlog_readings)} readings wait` : "";
  chip.textContent = `Cloud: ${link.state}${waiting}`;
  chip.className = `chip ${link.state === "connected" ? "good" : link.enrolled ? "warn" : ""}`;
}

/** @param {Site} site */
function showSite(site) {
  document.title = `${site.name} · RiverWatts`;
  byId("site").textContent = site.name;
  byId("version").textContent = site.version;
  const time = site.time === null ? "Clock not trusted yet: readings wait here until their time is known"
    : `${new Date(site.time).toLocaleString(undefined, { timeZone: site.timezone, dateStyle: "medium", timeStyle: "medium" })} (${site.timezone})`;
  const stuck = [site.polling ? "" : "polling stands still", site.storing ? "" : "storing stands still"].filter(Boolean);
  byId("clock").textContent = [time, ...stuck].join(" · ");
}

async function refresh() {
  try {
    const [site, devices, buses, link] = await Promise.all(["site", "devices", "buses", "link"].map((name) => ask(`/api/${name}`)));
    showSite(site);
    showLink(link);
    byId("devices").replaceChildren(...devices.devices.map(deviceCard));
    byId("buses").replaceChildren(...buses.buses.map(busCard));
    byId("lost").hidden = true;
  } catch {
    byId("lost").hidden = false;
    for (const card of document.querySelectorAll("#devices .card")) card.classList.add("stale");
  }
  setTimeout(refresh, document.hidden ? EVERY_MS * 5 : EVERY_MS);
}

refresh();
