// Who is signed in. The access token lives in memory only and is renewed before it ends by a cookie that scripts cannot
// read, in one tab after the other. No connection is no sign-out; a sign-out elsewhere is noticed.

import { signal } from "./vendor/preact.js";
import { ApiError, NetworkError, backOff, call, first, forget, hasStatus, useKeys } from "./request.js";

/** @typedef {import("./request.js").User} User */

const LOCK = "riverwatts-refresh";
/** Renewed at this share of a token's life. */
const RENEW_AT = 0.8;
/** A token that ends so soon is not used any more. */
const SPARE_MS = 3_000;
const PAUSE_MS = 2_000;
const PAUSE_MAX_MS = 60_000;
/** Whether this browser was signed in when it was last here: else there is no cookie to try. */
const TRACE = "riverwatts-signed-in";

/** @typedef {{state: "unknown"|"in"|"out", user: User|null, why: string|null, failure: unknown}} Session `why` says why somebody is out again */

/** @type {import("./vendor/preact.js").Signal<Session>} */
const current = signal(/** @type {Session} */ ({ state: first.user !== null ? "in" : hasTrace() ? "unknown" : "out", user: first.user, why: null, failure: null }));
export const session = /** @type {import("./vendor/preact.js").ReadonlySignal<Session>} */ (current);

/** The access token, for those who hold a connection open under it. */
export const access = signal(/** @type {string|null} */ (null));
let endsAt = 0;
/** @type {Promise<void>|null} */
let renewing = null;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let timer;
let failures = 0;

const others = new BroadcastChannel("riverwatts-session");
others.onmessage = (/** @type {MessageEvent<"in"|"out">} */ { data }) => {
  if (data === "out" && current.peek().state === "in") left("You signed out in another tab.");
  if (data === "in" && current.peek().state === "out") {
    current.value = { state: "unknown", user: null, why: null, failure: null };
    start();
  }
};

function hasTrace() {
  try {
    return localStorage.getItem(TRACE) !== null;
  } catch {
    return true;
  }
}

/** @param {boolean} signedIn */
function leaveTrace(signedIn) {
  try {
    signedIn ? localStorage.setItem(TRACE, "yes") : localStorage.removeItem(TRACE);
  } catch {
    // Without storage the cookie is tried each time.
  }
}

/** @param {any} tokens what `login` and `refresh` answer */
function took({ access_token, expires_in, user }) {
  if (current.peek().user?.id !== user.id) forget();
  leaveTrace(true);
  failures = 0;
  endsAt = Date.now() + expires_in * 1_000;
  access.value = access_token;
  current.value = { state: "in", user, why: null, failure: null };
  later(expires_in * 1_000 * RENEW_AT);
}

/** @param {number} ms */
function later(ms) {
  clearTimeout(timer);
  timer = setTimeout(() => renew().catch(() => {}), ms);
}

/** @param {string|null} why */
function left(why) {
  clearTimeout(timer);
  leaveTrace(false);
  access.value = null;
  forget();
  current.value = { state: "out", user: null, why, failure: null };
}

/**
 * A new token by the cookie; the same for all who ask meanwhile.
 * @returns {Promise<void>}
 */
function renew() {
  if (current.peek().state === "out") return Promise.reject(new ApiError(401, null));
  renewing ??= (navigator.locks === undefined ? trade() : navigator.locks.request(LOCK, trade)).finally(() => (renewing = null));
  return renewing;
}

async function trade() {
  try {
    took(await call("POST", "/auth/refresh"));
  } catch (error) {
    if (hasStatus(error, 401)) {
      if (current.peek().state !== "out") left(current.peek().state === "in" ? "Your session has ended. Sign in again." : null);
    } else {
      failures += 1;
      if (current.peek().state === "unknown") current.value = { ...current.peek(), failure: error };
      later(backOff(failures, PAUSE_MS, PAUSE_MAX_MS));
    }
    throw error;
  }
}

/** A token that is good for a while. */
async function token() {
  if (current.peek().state === "out" || access.peek() === null || Date.now() > endsAt - SPARE_MS) await renew();
  const held = access.peek();
  if (held === null) throw new NetworkError("no connection to the server");
  return held;
}

/** Sees to a token; what became of it is in `session`. */
export const start = () => renew().catch(() => {});
if (current.peek().state !== "out") start();

/**
 * @param {string} email
 * @param {string} password
 */
export async function signIn(email, password) {
  try {
    took(await call("POST", "/auth/login", { body: { email, password } }));
  } catch (error) {
    throw inWords(error);
  }
  others.postMessage("in");
}

/** @param {unknown} error */
function inWords(error) {
  if (hasStatus(error, 401)) return new Error("E-mail or password is wrong.");
  if (!hasStatus(error, 429)) return error;
  const minutes = Math.ceil((/** @type {ApiError} */ (error).retryAfterS ?? 60) / 60);
  return new Error(`Too many attempts. Try again in ${minutes === 1 ? "a minute" : `${minutes} minutes`}.`);
}

/**
 * Ends the session here, and on the server if that can be reached.
 * @returns {Promise<boolean>} whether it could: without, the cookie would still open the session
 */
export async function signOut() {
  const held = await token().catch(() => null);
  others.postMessage("out");
  left(null);
  return held !== null && call("POST", "/auth/logout", { token: held }).then(() => true, (error) => hasStatus(error, 401));
}

export const isAdmin = () => session.value.user?.role === "admin";

/** A tab that slept has an old token, and one that was offline may have missed its turn. */
function wake() {
  if (document.visibilityState === "visible" && current.peek().state !== "out" && Date.now() > endsAt - SPARE_MS) start();
}
document.addEventListener("visibilitychange", wake);
addEventListener("online", wake);

useKeys({ token, renew });
