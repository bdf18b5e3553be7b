// What the gateway says of itself: asked for again every two seconds while the page is seen, and kept when it
// does not answer.

import { computed, signal, useEffect, useState } from "./vendor/preact.js";
import { followServer, now } from "./kit/value.js";

const EVERY_MS = 2_000;
const TIMEOUT_MS = 5_000;
/** Longest pause between two attempts at a gateway that does not answer. */
const RETRY_MAX_MS = 15_000;
/** One answer that fails on the way is not worth a word. */
const LOST_AFTER_MS = 5_000;

/**
 * Bodies of the panel's API (docs/api.md); times marked `_ms` are this page's, made of ages.
 * @typedef {import("./kit/format.js").Kind} Kind
 * @typedef {{name: string, condition: "ok"|"warning"|"failure", state: string, remedy: string}} Part
 * @typedef {{name: string, timezone: string, version: string, time: string|null, dead_letters: number, bytes_written: number, parts: Part[]}} Site
 * @typedef {{metric: string, value: number|null, quality: string}} Measured
 * @typedef {{id: string, bus: string, unit: number, profile: string, device_type: string, manufacturer: string, model: string,
 *   identity: Record<string, string>, interval_s: number, condition: string, state: string, age_s: number|null,
 *   timestamp: string|null, main: string[], values: Measured[], read_ms: number|null}} Device
 * @typedef {{outcome: string, count: number, meaning: string, remedy: string}} PollError
 * @typedef {{device: string, unit: number, condition: string, state: string, polls: number, ok: number, overruns: number, dropped: number,
 *   round_trip_ms: number, last_ok_age_s: number|null, last_error: string|null, last_error_age_s: number|null,
 *   refused_registers: {names: string[], function: string, start: number, count: number}[], errors: PollError[], ok_ms: number|null, error_ms: number|null}} Unit
 * @typedef {{kind: string, meaning: string, remedy: string}} Trouble
 * @typedef {{id: string, kind: string, target: string, condition: string, state: string, connections: number, load: number,
 *   planned_load: number, troubles: Trouble[], units: Unit[]}} Bus
 * @typedef {{limit_bytes: number, used_bytes: number, forecast_bytes: number, period_start: string, period_end: string,
 *   state: "ok"|"warning"|"saving", meaning: string, remedy: string}} Plan
 * @typedef {{day: string, sent_bytes: number, received_bytes: number}} Traffic
 * @typedef {{url: string|null, condition: string, state: string, next: string, error: string|null, waiting: string[],
 *   last_receipt_age_s: number|null, backlog_readings: number, oldest_unsent_seconds: number|null, receipt_ms: number|null,
 *   oldest_ms: number|null, backlog_waits: {reason: "hours"|"plan", until: string, meaning: string}|null, plan: Plan|null,
 *   traffic: Traffic[]}} Link
 * @typedef {{site: Site, devices: Device[], buses: Bus[], link: Link, at_ms: number}} Gateway
 */

const PATHS = ["/api/site", "/api/devices", "/api/buses", "/api/link"];

/** The last answers; there are some before anything is drawn. */
export const gateway = signal(/** @type {Gateway} */ (/** @type {unknown} */ (null)));
/** When the next attempt begins, while the last one failed. */
const failing = signal(/** @type {{retryAt: number}|null} */ (null));
/** While the gateway does not answer: since when, and when it is asked again. */
export const lost = computed(() => {
  const since = gateway.value.at_ms;
  return failing.value !== null && now.value - since > LOST_AFTER_MS ? { since, retryAt: failing.value.retryAt } : null;
});

/** @param {any[]} answers */
function take([site, { devices }, { buses }, link]) {
  followServer(site.time);
  const at_ms = now.peek();
  /** @param {number|null} age_s */
  const since = (age_s) => (age_s === null ? null : at_ms - age_s * 1_000);
  gateway.value = {
    site, at_ms,
    devices: devices.map((/** @type {Device} */ device) => ({ ...device, read_ms: since(device.age_s) })),
    buses: buses.map((/** @type {Bus} */ bus) => ({ ...bus, units: bus.units.map((unit) => ({ ...unit, ok_ms: since(unit.last_ok_age_s), error_ms: since(unit.last_error_age_s) })) })),
    link: { ...link, receipt_ms: since(link.last_receipt_age_s), oldest_ms: since(link.oldest_unsent_seconds) },
  };
}

/**
 * The answer's body; an error with words for people.
 * @param {string} path
 * @param {AbortSignal} stop
 */
export async function get(path, stop) {
  const answer = await fetch(path, { signal: stop, cache: "no-store" });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error?.message ?? `${path}: ${answer.status}`);
  return body;
}

let failures = 0;
let asking = false;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let timer;

/** Asks now, and again later while the page is seen. */
export async function ask() {
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  const end = new AbortController();
  const late = setTimeout(() => end.abort(), TIMEOUT_MS);
  try {
    take(await Promise.all(PATHS.map((path) => get(path, end.signal))));
    failures = 0;
  } catch {
    failures += 1;
  }
  clearTimeout(late);
  asking = false;
  const wait = failures === 0 ? EVERY_MS : Math.min(RETRY_MAX_MS, EVERY_MS * 2 ** (failures - 1));
  failing.value = failures === 0 ? null : { retryAt: now.peek() + wait };
  if (!document.hidden) timer = setTimeout(ask, wait);
}

/**
 * What the page came with, by path.
 * @type {Record<string, any>}
 */
let answers = {};

/**
 * What only one page asks for: as it came with the page, then asked for whenever `moment` is another one.
 * @param {string} path
 * @param {unknown} moment
 * @returns {[answer: any, error: unknown, again: () => Promise<void>]} null where there is none yet
 */
export function useAnswer(path, moment) {
  const [answer, setAnswer] = useState(() => answers[path] ?? null);
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const again = async () => {
    const end = new AbortController();
    const late = setTimeout(() => end.abort(), TIMEOUT_MS);
    try {
      setAnswer(await get(path, end.signal));
      setError(null);
    } catch (failure) {
      setError(failure);
    }
    clearTimeout(late);
  };
  useEffect(() => {
    if (answers[path] === undefined) again();
    delete answers[path];
  }, [moment]);
  return [answer, error, again];
}

/** Takes what the page came with, and begins to ask. */
export function begin() {
  const first = /** @type {HTMLElement} */ (document.getElementById("first"));
  ({ answers } = JSON.parse(first.textContent ?? ""));
  first.remove();
  take(PATHS.map((path) => answers[path]));
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : ask()));
  addEventListener("online", ask);
  ask();
}
