// Everything a person reads, as text: numbers with the decimals of their unit, names of metrics,
// ages, times in a site's zone, and the words for qualities, gaps and links. Pure functions.
// The pages speak English, so numbers and dates are English too, with 24 hours and the day first.

const LOCALE = "en-GB";
/** More digits than this flicker without telling anything. */
const DIGITS_MAX = 5;
export const NOTHING = "–";

/**
 * Units by the last word of a metric's name, with the decimals that are worth showing.
 * @type {Record<string, [unit: string, decimals: number]>}
 */
const BY_LAST_WORD = {
  kw: ["kW", 2], v: ["V", 1], a: ["A", 2], hz: ["Hz", 2], percent: ["%", 1], c: ["°C", 1], mps: ["m/s", 2],
  mmps: ["mm/s", 2], m: ["m", 2], mm: ["mm", 1], kwh: ["kWh", 1], kvarh: ["kvarh", 1], kva: ["kVA", 2],
  kvar: ["kvar", 2], rpm: ["rpm", 1], g: ["g", 3], deg: ["°", 1], s: ["s", 0], h: ["h", 1], ah: ["Ah", 1],
  nm: ["Nm", 1], bar: ["bar", 2], kpa: ["kPa", 0], kohm: ["kΩ", 0], ma: ["mA", 2], m3: ["m³", 1],
};
/** @type {Record<string, [unit: string, decimals: number]>} */
const BY_NAME = {
  vibration_level: ["mm/s", 2], water_flow_rate: ["m³/s", 2], power_factor: ["", 2], signal_quality: ["", 0],
};
/** @type {Record<string, string>} */
const LABELS = {
  power_output_kw: "Power", voltage_v: "Voltage", current_a: "Current", frequency_hz: "Frequency",
  efficiency_percent: "Efficiency", temperature_c: "Temperature", vibration_level: "Vibration",
  water_flow_rate: "Discharge", battery_level_percent: "State of charge", energy_kwh: "Energy",
  rotor_rpm: "Rotor speed",
};

/** @param {string} metric */
const lastWord = (metric) => metric.slice(metric.lastIndexOf("_") + 1);

/** @param {string} metric */
const shapeOf = (metric) => BY_NAME[metric] ?? (metric.includes("_") ? BY_LAST_WORD[lastWord(metric)] : undefined) ?? ["", 3];

/**
 * `water_speed_mps` gives `m/s`.
 * @param {string} metric
 */
export const unitOf = (metric) => shapeOf(metric)[0];

/**
 * `voltage_l1_v` gives `Voltage L1`: the unit stands beside the number.
 * @param {string} metric
 */
export function labelOf(metric) {
  const known = LABELS[metric];
  if (known !== undefined) return known;
  const named = !(metric in BY_NAME) && metric.includes("_") && lastWord(metric) in BY_LAST_WORD;
  const words = (named ? metric.slice(0, metric.lastIndexOf("_")) : metric).replace(/^x_/, "").replaceAll("_", " ")
    .replace(/\b(l[123]|dc|ac)\b/g, (word) => word.toUpperCase());
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @type {Map<number, Intl.NumberFormat>} */
const numbers = new Map();

/**
 * A number with exactly this many decimals, fewer when it is large.
 * @param {number|null|undefined} value
 * @param {number} decimals
 */
export function number(value, decimals = 0) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  const whole = Math.max(1, Math.floor(Math.log10(Math.abs(value) || 1)) + 1);
  const shown = Math.max(0, Math.min(decimals, DIGITS_MAX - whole));
  let format = numbers.get(shown);
  if (format === undefined) {
    format = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: shown, maximumFractionDigits: shown });
    numbers.set(shown, format);
  }
  return format.format(value).replace(/^-(?=[0.]*$)/, "").replace("-", "−");
}

/**
 * The number alone, as its metric is shown; the unit is `unitOf`.
 * @param {string} metric
 * @param {number|null|undefined} value
 */
export const figure = (metric, value) => number(value, shapeOf(metric)[1]);

/**
 * Number and unit: `3.41 kW`.
 * @param {string} metric
 * @param {number|null|undefined} value
 */
export function quantity(metric, value) {
  const text = figure(metric, value);
  return text === NOTHING || unitOf(metric) === "" ? text : `${text}\u00a0${unitOf(metric)}`;
}

/**
 * `3 of 4`, `1 reading`, `2 readings`.
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/**
 * A length of time in its two largest units where the second one matters: `12 s`, `3 min`, `2 h 5 min`, `4 d`.
 * @param {number} ms
 */
export function duration(ms) {
  const positive = Math.max(0, ms);
  if (positive < 100 * SECOND_MS) return `${Math.round(positive / SECOND_MS)} s`;
  if (positive < 100 * MINUTE_MS) return `${Math.round(positive / MINUTE_MS)} min`;
  const minutes = Math.round(positive / MINUTE_MS);
  if (positive < 10 * HOUR_MS) return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  if (positive < 2 * DAY_MS) return `${Math.round(positive / HOUR_MS)} h`;
  return `${number(Math.round(positive / DAY_MS))} d`;
}

/**
 * How old something is: `now`, `12 s ago`, `never`.
 * @param {number|null} ms
 */
export function age(ms) {
  if (ms === null) return "never";
  return ms < SECOND_MS ? "now" : `${duration(ms)} ago`;
}

const KIBI = 1_024;
/**
 * `12.4 MiB`.
 * @param {number|null} count
 */
export function bytes(count) {
  if (count === null) return NOTHING;
  const power = count < KIBI ? 0 : Math.min(4, Math.floor(Math.log(count) / Math.log(KIBI)));
  return `${number(count / KIBI ** power, power === 0 ? 0 : 1)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

/**
 * A share of one as per cent.
 * @param {number|null} share
 */
export const percent = (share, decimals = 0) => (share === null ? NOTHING : `${number(share * 100, decimals)}\u00a0%`);

/** @type {Map<string, Intl.DateTimeFormat>} */
const clocks = new Map();

/**
 * @param {string} zone
 * @param {Intl.DateTimeFormatOptions} options
 */
function clockFor(zone, options) {
  const key = zone + JSON.stringify(options);
  let clock = clocks.get(key);
  if (clock === undefined) {
    clock = new Intl.DateTimeFormat(LOCALE, { ...options, timeZone: zone, hourCycle: "h23" });
    clocks.set(key, clock);
  }
  return clock;
}

/** @typedef {string|number|null|undefined} Time an RFC 3339 text or milliseconds since 1970 */

/**
 * @param {Time} time
 * @returns {number|null}
 */
export function msOf(time) {
  const ms = typeof time === "string" ? Date.parse(time) : time ?? NaN;
  return Number.isNaN(ms) ? null : ms;
}

/** @type {Record<string, Intl.DateTimeFormatOptions>} */
const SHAPES = {
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  minute: { hour: "2-digit", minute: "2-digit" },
  date: { day: "numeric", month: "short", year: "numeric" },
  day: { weekday: "short", day: "numeric", month: "short" },
  full: { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" },
};

/**
 * A time in a zone: `time` 09:12:33, `minute` 09:12, `date` 24 Nov 2026, `day` Tue 24 Nov, `full` date and time.
 * @param {Time} time
 * @param {string} zone an IANA name, e.g. `America/Anchorage`
 * @param {"time"|"minute"|"date"|"day"|"full"} shape
 */
export function at(time, zone, shape = "full") {
  const ms = msOf(time);
  return ms === null ? NOTHING : clockFor(zone, SHAPES[shape]).format(ms).replace(/^(\w+), (?=\d)/, "$1 ");
}

/**
 * The zone's short name at that time: `GMT-9`, `CET`.
 * @param {Time} time
 * @param {string} zone
 */
export function zoneName(time, zone) {
  const parts = clockFor(zone, { timeZoneName: "short", hour: "2-digit" }).formatToParts(msOf(time) ?? 0);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? zone;
}

/**
 * A badge's colour and shape.
 * @typedef {"good"|"warn"|"bad"|"info"|"quiet"} Kind
 */

/** @type {Record<string, [word: string, meaning: string]>} */
const QUALITIES = {
  ok: ["ok", "measured and plausible"],
  sentinel: ["no value", "the device says that it has no value here"],
  range: ["out of range", "outside what this device can measure"],
  time_order: ["time order", "its time is not after the one before"],
  rate: ["jump", "changed faster than the physics allow"],
  stuck: ["stuck", "has not changed for too long"],
  cross_check: ["contradicted", "another measurement of this device contradicts it"],
  clock_untrusted: ["time estimated", "measured while the gateway's clock was not trusted"],
  redated: ["time corrected", "its time was corrected afterwards"],
  estimated: ["estimated", "not measured but estimated"],
  thinned: ["thinned", "a mean over a minute: the gateway's store was full"],
};
/** @type {Record<string, string>} */
const GAPS = {
  store_full_thinned: "thinned to minutes: the gateway's store was full",
  store_full_dropped: "dropped: the gateway's store was full",
  store_damaged: "the gateway's store was damaged",
  unclean_stop: "the gateway lost power or was stopped hard",
  disk_error: "the gateway could not write to its disk",
  clock: "the gateway's clock was corrected",
  dead_letter_discarded: "refused by the cloud and discarded by a person",
  device_silent: "the device did not answer",
};
/** @type {Record<string, [word: string, kind: Kind, meaning: string]>} */
const LINKS = {
  connected: ["connected", "good", "the gateway reports"],
  lost: ["link lost", "bad", "the gateway does not report; the site goes on by itself"],
  never: ["never seen", "quiet", "the gateway has not reported yet"],
  none: ["no gateway", "quiet", "no gateway belongs to this site"],
};

/** @param {string} word */
const spaced = (word) => word.replaceAll("_", " ");

/** @param {string} quality */
export const qualityWord = (quality) => QUALITIES[quality]?.[0] ?? spaced(quality);
/** @param {string} quality */
export const qualityMeaning = (quality) => QUALITIES[quality]?.[1] ?? spaced(quality);
/** @param {string} reason */
export const gapReason = (reason) => GAPS[reason] ?? spaced(reason);

/**
 * @param {string} state
 * @returns {{word: string, kind: Kind, meaning: string}}
 */
export function linkState(state) {
  const [word, kind, meaning] = LINKS[state] ?? [spaced(state), "quiet", ""];
  return { word, kind, meaning };
}
