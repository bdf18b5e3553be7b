// What a site's devices are and how their power belongs together. Pure functions; nothing is guessed: what nobody
// measures is unknown.

/** @typedef {import("./api").Device} Device */
/** @typedef {import("./api").Reading} Reading */
/** @typedef {"turbine"|"battery"|"grid"|"load"|"generation"|"meter"|"other"} Part what a device is in the diagram */

const CANONICAL = ["power_output_kw", "battery_level_percent", "water_flow_rate", "voltage_v", "current_a", "frequency_hz", "efficiency_percent", "temperature_c", "vibration_level"];
/** The values that say most, the first that a device has before the others. */
const LEADING = ["power_output_kw", "battery_level_percent", "water_speed_mps", "water_flow_rate", "water_level_m", "vibration_level", "rotor_rpm", "temperature_c", "voltage_v", "frequency_hz"];
const LEADING_MAX = 3;
const WATER = ["water_speed_mps", "water_flow_rate", "water_level_m", "water_temperature_c"];
/** A reading is fresh for three intervals of its device, at least so long; and for the pause between uploads. */
const FRESH_MIN_S = 30;
const PAUSE_S = 10;
/** What a device without an announced interval is taken for. */
const INTERVAL_S = 60;
const KEPT_OUT = new Set(["sentinel", "range", "time_order", "rate", "stuck", "cross_check"]);

/** What a meter may measure, as `metadata.measures` says. */
export const MEASURES = { generation: "what the turbines deliver", grid: "what the grid delivers", load: "what the site uses" };

/** @param {Device} device */
export const intervalS = (device) => device.interval_s ?? INTERVAL_S;

/** @param {Device} device */
export const staleAfterS = (device) => Math.max(FRESH_MIN_S, 3 * intervalS(device)) + PAUSE_S;

/** @param {Device} device */
export const isMeter = (device) => device.metadata.kind === "meter";

/** @param {Device} device */
export const isVirtual = (device) => /\bvirtual\b/i.test(`${device.device_name} ${device.model} ${device.manufacturer}`);

/**
 * `radar`, `meter`, else the device's type.
 * @param {Device} device
 */
export const kindOf = (device) => (typeof device.metadata.kind === "string" && device.device_type === "sensor" ? device.metadata.kind : device.device_type);

/**
 * @param {Device} device
 * @returns {Part}
 */
export function partOf(device) {
  if (device.device_type === "turbine" || device.device_type === "battery") return device.device_type;
  if (!isMeter(device)) return "other";
  const said = device.metadata.measures;
  return said === "grid" || said === "load" || said === "generation" ? said : "meter";
}

/**
 * A metric's value, wherever it stands in the reading.
 * @param {Reading|undefined} reading
 * @param {string} metric
 * @returns {number|null}
 */
export const valueOf = (reading, metric) => (reading === undefined ? null : /** @type {any} */ (reading)[metric] ?? reading.extra[metric] ?? null);

/** @param {Reading|undefined} reading @param {string} metric */
export const qualityOf = (reading, metric) => reading?.quality[metric] ?? "ok";

/**
 * What a device measures, by its reading: the usual ones first, then its own by name.
 * @param {Reading} reading
 */
export function metricsOf(reading) {
  const has = (/** @type {string} */ metric) => valueOf(reading, metric) !== null || metric in reading.quality;
  return [...CANONICAL.filter(has), ...Object.keys(reading.extra).filter((metric) => !CANONICAL.includes(metric)).sort()];
}

/** @param {Reading} reading */
export function leadingOf(reading) {
  const found = metricsOf(reading);
  const known = LEADING.filter((metric) => found.includes(metric));
  return (known.length > 0 ? known : found).slice(0, LEADING_MAX);
}

/** @typedef {{kw: number|null, device: Device, reading: Reading|undefined, fresh: boolean}} Flow `kw` only when it is fresh and good */

/**
 * @param {Device} device
 * @param {Map<string, Reading>} latest
 * @param {number} nowMs
 * @returns {Flow}
 */
function flowOf(device, latest, nowMs) {
  const reading = latest.get(device.id);
  const fresh = reading !== undefined && nowMs - Date.parse(reading.timestamp) <= staleAfterS(device) * 1_000;
  const good = fresh && !KEPT_OUT.has(qualityOf(reading, "power_output_kw"));
  return { device, reading, fresh, kw: good ? valueOf(reading, "power_output_kw") : null };
}

/**
 * @typedef {{metric: string, value: number, device: Device, reading: Reading}} Water
 * @typedef {{water: Water[], turbines: Flow[], batteries: Flow[], grid: Flow[], meters: Flow[],
 *   load: {kw: number|null, by: "meter"|"balance"|"balance with grid"|"unknown", flows: Flow[]}}} Plant
 *   All powers are positive where they flow to the bus; the load's is what it takes from there. `balance with grid`: no
 *   meter stands at the grid, so what is left after turbines and batteries goes to load and grid together.
 */

/**
 * @param {Device[]} devices
 * @param {Map<string, Reading>} latest by device
 * @param {number} nowMs
 * @returns {Plant}
 */
export function plantOf(devices, latest, nowMs) {
  const byName = [...devices].sort((one, other) => one.device_name.localeCompare(other.device_name, "en", { numeric: true }));
  const flows = byName.map((device) => flowOf(device, latest, nowMs));
  const of = (/** @type {Part} */ part) => flows.filter(({ device }) => partOf(device) === part);
  const turbines = of("turbine");
  const batteries = of("battery");
  const grid = of("grid");
  const loads = of("load");
  const water = WATER.flatMap((metric) => flows.flatMap(({ device, reading }) => {
    const value = valueOf(reading, metric);
    return value === null || reading === undefined ? [] : [{ metric, value, device, reading }];
  }).slice(0, 1));
  return { water, turbines, batteries, grid, meters: [...of("generation"), ...of("meter")], load: loadOf(turbines, batteries, grid, loads) };
}

/** @param {Flow[]} turbines @param {Flow[]} batteries @param {Flow[]} grid @param {Flow[]} loads @returns {Plant["load"]} */
function loadOf(turbines, batteries, grid, loads) {
  if (loads.length > 0) {
    const kw = sumOf(loads);
    return { kw: kw === null ? null : Math.abs(kw), by: "meter", flows: loads };
  }
  const kw = turbines.length === 0 ? null : sumOf([...turbines, ...batteries, ...grid]);
  return { kw, by: kw === null ? "unknown" : grid.length > 0 ? "balance" : "balance with grid", flows: [] };
}

/**
 * Only when every part is known.
 * @param {Flow[]} flows
 */
export const sumOf = (flows) => flows.reduce((/** @type {number|null} */ sum, { kw }) => (sum === null || kw === null ? null : sum + kw), 0);

/**
 * Newer readings take the place of older ones.
 * @param {Map<string, Reading>} latest
 * @param {Reading[]} readings
 */
export function withNewer(latest, readings) {
  const next = new Map(latest);
  for (const reading of readings) {
    const before = next.get(reading.device_id);
    if (before === undefined || before.timestamp <= reading.timestamp) next.set(reading.device_id, reading);
  }
  return next;
}
