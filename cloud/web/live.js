// What happens, as it happens: a page is in one room of the WebSocket. After a cut it comes back with growing, jittered
// pauses and asks for what it missed; where sockets do not work it asks from time to time. A page that nobody sees leaves.

import { signal, useEffect, useRef } from "./vendor/preact.js";
import { now } from "./kit/value.js";
import { backOff, hasStatus } from "./request.js";
import { access, session, start } from "./session.js";

/**
 * @typedef {import("./api").Reading} Reading
 * @typedef {{id: string, site_id: string, link: string, last_seen_at: string|null}} GatewayState
 * @typedef {{type: "snapshot", data: {readings: Reading[], gateways: GatewayState[]}}
 *   | {type: "reading", data: {readings: Reading[]}}
 *   | {type: "status", data: {gateways: GatewayState[], backfilled: {device_id: string, from: string, to: string}[]}}
 *   | {type: "gap", data: {gaps: import("./api").Gap[]}}
 *   | {type: "ping", data: null} | {type: "error", data: {code: string, message: string}}} Frame
 */

const PAUSE_MS = 500;
const PAUSE_MAX_MS = 30_000;
/** The server says something every 20 s. */
const SILENCE_MAX_MS = 45_000;
/** After so many failed attempts in a row the page asks instead. */
const FAILURES_UNTIL_ASKING = 2;
const ASK_EVERY_MS = 10_000;
const HIDDEN_MAX_MS = 60_000;
/** Devices whose latest time is kept for coming back. */
const RESUMED_MAX = 1_000;
const CLOSED_SIGN_IN = 4401;
const CLOSED_FOR_GOOD = [4403, 4404];

/** @typedef {"joining"|"live"|"reconnecting"|"asking"|"offline"} State */
/** How the page's room is heard; null where a page has none. */
export const heard = signal(/** @type {State|null} */ (null));
/** When the server last said something, in ms. */
export let heardAt = Date.now();

/**
 * Is in a room while the component is shown.
 * @param {string|null} room `fleet`, `site-{id}`, `device-{id}`
 * @param {(frame: Frame) => void} hear
 * @param {() => Promise<unknown>} ask what replaces the room where it cannot be had; throws without a connection
 */
export function useRoom(room, hear, ask) {
  const latest = useRef({ hear, ask });
  latest.current = { hear, ask };
  useEffect(() => (room === null ? undefined : join(room, (frame) => latest.current.hear(frame), () => latest.current.ask())), [room]);
}

/**
 * @param {string} room
 * @param {(frame: Frame) => void} hear
 * @param {() => Promise<unknown>} ask
 * @returns {() => void} leaves it
 */
function join(room, hear, ask) {
  /** @type {WebSocket|null} */
  let socket = null;
  let failures = 0;
  let left = false;
  /** @type {Record<string, ReturnType<typeof setTimeout>|undefined>} */
  const timers = {};
  /** @type {Map<string, string>} */
  const newest = new Map();

  /** @param {string} name @param {() => void} run @param {number} ms */
  const after = (name, run, ms) => {
    clearTimeout(timers[name]);
    timers[name] = setTimeout(run, ms);
  };

  async function connect() {
    clearTimeout(timers.connect);
    if (socket !== null || left || session.peek().state === "out") return;
    if (access.peek() === null) await start();
    const token = access.peek();
    if (token === null) return failed();
    if (socket !== null || left) return;
    const own = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/${room}`, ["riverwatts", `bearer.${token}`]);
    socket = own;
    own.onopen = () => {
      if (newest.size > 0) own.send(JSON.stringify({ type: "resume", after: Object.fromEntries(newest) }));
    };
    own.onmessage = ({ data }) => own === socket && took(JSON.parse(data));
    own.onclose = ({ code }) => own === socket && closed(code);
    after("silence", drop, SILENCE_MAX_MS);
  }

  /** @param {Frame} frame */
  function took(frame) {
    failures = 0;
    heardAt = now.peek();
    heard.value = "live";
    clearTimeout(timers.ask);
    after("silence", drop, SILENCE_MAX_MS);
    if (frame.type === "snapshot" || frame.type === "reading") frame.data.readings.forEach(note);
    hear(frame);
  }

  /** @param {Reading} reading */
  function note({ device_id, timestamp }) {
    const before = newest.get(device_id);
    if (before === undefined ? newest.size < RESUMED_MAX : before < timestamp) newest.set(device_id, timestamp);
  }

  /** @param {number} code */
  function closed(code) {
    socket = null;
    clearTimeout(timers.silence);
    if (CLOSED_FOR_GOOD.includes(code)) return void (heard.value = null);
    if (code === CLOSED_SIGN_IN) return void start().then(failed);
    failed();
  }

  /** The other side is silent, or nobody looks. */
  function drop() {
    const own = socket;
    own?.close();
    if (own !== null) closed(0);
  }

  function failed() {
    if (left || session.peek().state === "out") return;
    failures += 1;
    if (!navigator.onLine) heard.value = "offline";
    else if (heard.peek() !== "asking" && heard.peek() !== "offline") heard.value = "reconnecting";
    after("connect", connect, backOff(failures, PAUSE_MS, PAUSE_MAX_MS));
    if (failures === FAILURES_UNTIL_ASKING) askOnce();
  }

  async function askOnce() {
    if (left || socket?.readyState === WebSocket.OPEN) return;
    after("ask", askOnce, ASK_EVERY_MS);
    try {
      await ask();
      heardAt = now.peek();
      if (!left && heard.peek() !== "live") heard.value = "asking";
    } catch (error) {
      if (!left && heard.peek() !== "live" && !hasStatus(error, 401)) heard.value = "offline";
    }
  }

  /** At once, instead of at the end of a pause. */
  function hurry() {
    if (document.visibilityState !== "visible") return after("hidden", leaveUnseen, HIDDEN_MAX_MS);
    clearTimeout(timers.hidden);
    if (socket === null) connect();
  }
  function leaveUnseen() {
    const own = socket;
    socket = null;
    own?.close();
    heard.value = "joining";
    for (const name of ["connect", "silence", "ask"]) clearTimeout(timers[name]);
  }

  const stopRenewing = access.subscribe((token) => {
    if (token !== null && socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "auth", token }));
  });
  addEventListener("online", hurry);
  document.addEventListener("visibilitychange", hurry);
  heard.value = "joining";
  connect();

  return () => {
    left = true;
    socket?.close();
    Object.values(timers).forEach(clearTimeout);
    stopRenewing();
    removeEventListener("online", hurry);
    document.removeEventListener("visibilitychange", hurry);
    heard.value = null;
  };
}
