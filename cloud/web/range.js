// The span of time that a page's address names, and times of day as a person writes them at the site. Pure functions.

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Lengths up to now, by their names in the address. */
export const LENGTHS = { "1h": HOUR_MS, "24h": DAY_MS, "7d": 7 * DAY_MS, "30d": 30 * DAY_MS, "1y": 365 * DAY_MS };
/** @typedef {keyof typeof LENGTHS} Length */
/** @type {Record<Length, string>} */
export const LENGTH_WORDS = { "1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d", "1y": "1 y" };
/** @type {Length} */
const LENGTH_USUAL = "24h";
/** A device that is here for so long only has little to show in the usual range. */
const NEW_MS = HOUR_MS;

/** @typedef {{length: Length} | {length: null, from: number, to: number}} Range */

/** @param {string|null} name @returns {name is Length} */
const isLength = (name) => name !== null && Object.hasOwn(LENGTHS, name);

/**
 * The range that is shown first.
 * @param {number} since when the device came, in ms
 * @param {number} now
 * @returns {Length}
 */
export const lengthFirst = (since, now) => (now - since < NEW_MS ? "1h" : LENGTH_USUAL);

/**
 * What an address says, or the first range where it says nothing that can be understood.
 * @param {URLSearchParams} query
 * @param {Length} first
 * @returns {Range}
 */
export function rangeOf(query, first) {
  const from = Date.parse(query.get("from") ?? "");
  const to = Date.parse(query.get("to") ?? "");
  if (from < to) return { length: null, from, to };
  const length = query.get("range");
  return { length: isLength(length) ? length : first };
}

/**
 * As changes of an address.
 * @param {Range} range
 * @returns {Record<string, string|null>}
 */
export function inAddress(range) {
  if (range.length !== null) return { range: range.length, from: null, to: null };
  return { range: null, from: new Date(Math.round(range.from)).toISOString(), to: new Date(Math.round(range.to)).toISOString() };
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const clocks = new Map();

/**
 * A time as `2026-11-24T09:12`, by the clocks of a zone.
 * @param {number} time
 * @param {string} zone
 */
export function toLocal(time, zone) {
  let clock = clocks.get(zone);
  if (clock === undefined) {
    clock = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" });
    clocks.set(zone, clock);
  }
  const parts = Object.fromEntries(clock.formatToParts(time).map(({ type, value }) => [type, value]));
  return `${parts.year.padStart(4, "0")}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`;
}

/**
 * The time at which the clocks of a zone show this; null when it is none. A time that the clocks skip is taken as if they
 * had not yet moved, of one that they show twice the first.
 * @param {string} text `2026-11-24T09:12`
 * @param {string} zone
 */
export function fromLocal(text, zone) {
  const asIfUtc = Date.parse(`${text}Z`);
  if (Number.isNaN(asIfUtc)) return null;
  const minute = Math.floor(asIfUtc / 60_000) * 60_000;
  /** @param {number} time */
  const ahead = (time) => Date.parse(`${toLocal(time, zone)}Z`) - time;
  const found = [...new Set([ahead(minute - DAY_MS), ahead(minute + DAY_MS)])].map((offset) => minute - offset).filter((time) => toLocal(time, zone) === toLocal(minute, "UTC"));
  return found.length > 0 ? Math.min(...found) : minute - ahead(minute - DAY_MS);
}
