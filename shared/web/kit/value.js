// What stands where a thing is shown: the value with its age and quality, or why there is none: nothing
// there, not yet, no longer, failed. Ages tick by one clock that follows the server's.

import { html, signal, computed, useMemo } from "../vendor/preact.js";
import { NOTHING, age, at, duration, figure, labelOf, msOf, number, qualityMeaning, qualityWord, unitOf } from "./format.js";

/** @typedef {import("../vendor/preact.js").Children} Children */
/** @typedef {import("./format.js").Kind} Kind */
/** @typedef {import("./format.js").Time} Time */

const TICK_MS = 1_000;
/** `Date` headers have whole seconds, and answers take a while: less than this is no difference. */
const OFFSET_MIN_MS = 1_500;

let offsetMs = 0;
const ticking = signal(Date.now());
/** The server's time in ms, moving each second; what reads it is drawn again with it. */
export const now = /** @type {import("../vendor/preact.js").ReadonlySignal<number>} */ (ticking);

const tick = () => {
  ticking.value = Date.now() + offsetMs;
};
setInterval(tick, TICK_MS);
document.addEventListener("visibilitychange", tick);

/**
 * Takes the time of an answer's `Date` header, so that ages are right on a machine whose clock is wrong.
 * @param {string|null} date
 */
export function followServer(date) {
  const ms = msOf(date);
  if (ms === null) return;
  const difference = ms - Date.now();
  const followed = Math.abs(difference) < OFFSET_MIN_MS ? 0 : difference;
  if (Math.abs(followed - offsetMs) < OFFSET_MIN_MS && followed !== 0) return;
  offsetMs = followed;
  tick();
}

const GLYPHS = { good: "M2 5.5 4.2 8 8.5 2.5", warn: "M5 1.5 9 8.5H1Z", bad: "M2 2 8 8M8 2 2 8", info: "M5 1.5v.5M5 4.5v4", quiet: "M2 5h6" };

/**
 * A state in a word; its shape differs by kind as well as its colour. A quiet one is a word only.
 * @param {{kind?: Kind, title?: string, children?: Children}} props
 */
export function Badge({ kind = "quiet", title, children }) {
  return html`<span class=${`badge ${kind}`} title=${title}>
    ${kind !== "quiet" && html`<svg class="glyph" viewBox="0 0 10 10" width="10" height="10" aria-hidden="true"><path d=${GLYPHS[kind]} /></svg>`}${children}
  </span>`;
}

/**
 * Whether a time is older than its limit, as a signal; never without a limit.
 * @param {Time} time
 * @param {number} [limitS]
 */
export function useStale(time, limitS) {
  return useMemo(() => {
    const ms = msOf(time);
    return computed(() => limitS !== undefined && (ms === null || now.value - ms > limitS * 1_000));
  }, [time, limitS]);
}

/**
 * How long ago, ticking; past the limit it says `stale`.
 * @param {{time: Time, staleAfterS?: number, zone?: string}} props
 */
export function Age({ time, staleAfterS, zone }) {
  const stale = useStale(time, staleAfterS).value;
  const text = useMemo(() => {
    const ms = msOf(time);
    return computed(() => age(ms === null ? null : now.value - ms));
  }, [time]);
  const iso = msOf(time) === null ? undefined : new Date(/** @type {number} */ (msOf(time))).toISOString();
  return html`<time class=${stale ? "age stale" : "age"} datetime=${iso} title=${zone === undefined ? iso : at(time, zone)}>${stale && html`<span class="struck">stale</span> `}${text}</time>`;
}

/**
 * One metric's value with unit, age and quality. Without a value it shows a dash and says why.
 * @param {{metric: string, value: number|null|undefined, time?: Time, staleAfterS?: number, zone?: string,
 *   quality?: string, reason?: string, size?: "m"|"l"|"xl", label?: boolean|string}} props
 *   `label` writes the metric's name (or these words) above it.
 */
export function Value({ metric, value, time, staleAfterS, zone, quality = "ok", reason, size = "m", label = false }) {
  const stale = useStale(time, time === undefined ? undefined : staleAfterS).value;
  const text = figure(metric, value);
  const unit = unitOf(metric);
  const absent = text === NOTHING && quality === "ok" ? reason ?? "no value" : undefined;
  const about = (time !== undefined || quality !== "ok" || absent !== undefined) && html`<span class="value-about">
    ${absent !== undefined && html`<span>${absent}</span>`}
    ${quality !== "ok" && html`<${Badge} kind="warn" title=${qualityMeaning(quality)}>${qualityWord(quality)}<//>`}
    ${time !== undefined && html`<${Age} time=${time} staleAfterS=${staleAfterS} zone=${zone} />`}</span>`;
  return html`<span class=${`value ${size}${stale ? " stale" : ""}${label === false ? "" : " labelled"}`}>
    ${label !== false && html`<span class="value-label">${label === true ? labelOf(metric) : label} </span>`}
    <span class="value-figure" title=${text === NOTHING ? undefined : `${number(value, 5)} ${unit}`}>
      ${text === NOTHING ? html`<span aria-hidden="true">${NOTHING}</span>` : text}${unit !== "" && text !== NOTHING && html`<span class="unit">\u00a0${unit}</span>`}</span>
    ${" "}${about}
  </span>`;
}

/**
 * A short banner above what it is about: link lost, not up to date, done.
 * @param {{kind?: Kind, title: Children, action?: Children, children?: Children}} props
 */
export function Notice({ kind = "info", title, action, children }) {
  return html`<div class=${`notice ${kind}`} role=${kind === "bad" ? "alert" : "status"}>
    <svg class="glyph" viewBox="0 0 10 10" width="14" height="14" aria-hidden="true"><path d=${GLYPHS[kind]} /></svg>
    <div class="notice-text"><strong>${title}</strong>${children !== undefined && html`<div>${children}</div>`}</div>
    ${action !== undefined && html`<div class="notice-action">${action}</div>`}
  </div>`;
}

/**
 * Nothing is there, and how it begins.
 * @param {{title: Children, action?: Children, children?: Children}} props
 */
export function Empty({ title, action, children }) {
  return html`<div class="empty">
    <svg class="empty-mark" viewBox="0 0 64 32" width="64" height="32" aria-hidden="true"><path d="M2 12q7.5-8 15 0t15 0 15 0 15 0M2 24q7.5-8 15 0t15 0 15 0 15 0" /></svg>
    <p class="empty-title">${title}</p>
    ${children !== undefined && html`<div class="soft">${children}</div>`}
    ${action}
  </div>`;
}

/**
 * Grey lines in the place of what is on its way.
 * @param {{rows?: number, label?: string}} props
 */
export function Loading({ rows = 3, label = "Loading" }) {
  return html`<div class="loading" role="status"><span class="unseen">${label}</span>
    ${Array.from({ length: rows }, (_, index) => html`<span class="bone" key=${index}></span>`)}
  </div>`;
}

/** @param {unknown} error */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));

/**
 * It could not be had: says why, and offers to try again.
 * @param {{error: unknown, title?: string, retry?: () => void}} props
 */
export function Failed({ error, title = "This could not be loaded", retry }) {
  return html`<${Notice} kind="bad" title=${title} action=${retry && html`<button type="button" class="button" onClick=${retry}>Try again</button>`}>${messageOf(error)}<//>`;
}

/**
 * Instead of a page whose thing cannot be had: not there or out of sight, not permitted, or not to be reached.
 * @param {{error: unknown, what: string, back: Children, retry: () => void}} props `what` is like `site`, `back` a link
 */
export function Refused({ error, what, back, retry }) {
  const status = /** @type {{status?: number}|null} */ (error)?.status;
  const [title, words] = status === 403 ? ["Not permitted", `Your role may not see this ${what}.`]
    : status === 404 || status === 400 || status === 422 ? [`No such ${what}`, `There is no ${what} at this address, or you have no sight of it.`] : ["Not to be reached", null];
  return html`<div class="page-head"><h1>${title}</h1></div>${words === null ? html`<${Failed} error=${error} retry=${retry} />` : html`<p>${words} ${back}</p>`}`;
}

/**
 * No connection: what is shown is from `since`; `retryAt` counts down to the next attempt.
 * @param {{since: Time, retryAt?: Time, retry?: () => void, what?: string}} props
 */
export function Offline({ since, retryAt, retry, what = "the server" }) {
  const text = useMemo(() => {
    const next = msOf(retryAt);
    return computed(() => (next === null ? "" : next > now.value ? `Trying again in ${duration(next - now.value)}.` : "Trying again now."));
  }, [retryAt]);
  return html`<${Notice} kind="warn" title=${`No connection to ${what}`} action=${retry && html`<button type="button" class="button" onClick=${retry}>Try now</button>`}>
    What you see is from <${Age} time=${since} />. <span aria-live="off">${text}</span>
  <//>`;
}
