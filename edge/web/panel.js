// Shows the latest values, the buses and the link, and asks again every two seconds.
// Everything that comes from a device or a file is set as text, never as markup.

const EVERY_MS = 2000;
const TIMEOUT_MS = 8000;

/** An element with attributes and children; strings become text. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function age(seconds) {
  if (seconds === null) return "never";
  if (seconds < 1) return "now";
  if (seconds < 100) return `${Math.round(seconds)} s ago`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

const figures = new Intl.NumberFormat(undefined, { maximumFractionDigits: 4 });

/** `water_speed_mps` as "water speed": the unit stands beside the number. */
function spoken(metric) {
  const name = metric.replace(/^x_/, "").replace(/_(kw|v|a|hz|percent|c|mmps|kwh|kvarh|kva|kvar|mps|m|rpm|s|ah|g|deg)$/, "");
  return name.replaceAll("_", " ");
}

function valueRow(value) {
  const shown = value.value === null ? "–" : figures.format(value.value);
  const doubt = value.quality === "ok" ? null : make("span", { class: "chip warn doubt" }, value.quality.replaceAll("_", " "));
  const unit = value.unit && value.value !== null ? make("span", { class: "unit" }, ` ${value.unit}`) : null;
  return make("tr", {}, make("th", { scope: "row", title: value.metric }, spoken(value.metric)), make("td", {}, shown, unit, doubt));
}

function deviceCard(device) {
  const state = device.stale ? (device.age_s === null ? "bad" : "warn") : "good";
  return make("article", { class: device.stale ? "card stale" : "card" },
    make("div", {}, make("h3", {}, device.id), make("span", { class: `chip ${state}` }, age(device.age_s))),
    make("p", { class: "quiet" }, `${device.manufacturer} ${device.model} · ${device.bus}, unit ${device.unit}`),
    device.stale ? make("p", { class: "trouble" }, device.state) : null,
    device.values.length ? make("table", {}, make("tbody", {}, ...device.values.map(valueRow))) : null);
}

function unitRow(unit) {
  const failed = unit.exception + unit.timeout + unit.bad_frame + unit.lost;
  const text = `${unit.ok} of ${unit.polls} polls, ${unit.round_trip_ms} ms`;
  const doubt = unit.silences > 0 ? make("span", { class: "chip warn doubt" }, "silent") : null;
  return make("tr", {}, make("th", { scope: "row", title: `${failed} failed` }, `${unit.device} (${unit.unit})`), make("td", {}, text, doubt));
}

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

function showLink(link) {
  const chip = document.getElementById("link");
  const waiting = link.backlog_readings > 0 ? ` · ${figures.format(link.backlog_readings)} readings wait` : "";
  chip.textContent = `Cloud: ${link.state}${waiting}`;
  chip.className = `chip ${link.state === "connected" ? "good" : link.enrolled ? "warn" : ""}`;
}

function showSite(site) {
  document.title = `${site.name} · RiverWatts`;
  document.getElementById("site").textContent = site.name;
  document.getElementById("version").textContent = site.version;
  const time = site.time === null ? "clock not trusted yet"
    : new Date(site.time).toLocaleString(undefined, { timeZone: site.timezone, dateStyle: "medium", timeStyle: "medium" });
  const stuck = [site.polling ? "" : "polling stands still", site.storing ? "" : "storing stands still"].filter(Boolean);
  document.getElementById("clock").textContent = [`${time} (${site.timezone})`, ...stuck].join(" · ");
}

async function refresh() {
  try {
    const [site, devices, buses, link] = await Promise.all(["site", "devices", "buses", "link"].map((name) => ask(`/api/${name}`)));
    showSite(site);
    showLink(link);
    document.getElementById("devices").replaceChildren(...devices.devices.map(deviceCard));
    document.getElementById("buses").replaceChildren(...buses.buses.map(busCard));
    document.getElementById("lost").hidden = true;
  } catch {
    document.getElementById("lost").hidden = false;
    for (const card of document.querySelectorAll("#devices .card")) card.classList.add("stale");
  }
  setTimeout(refresh, document.hidden ? EVERY_MS * 5 : EVERY_MS);
}

refresh();
