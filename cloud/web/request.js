// The public API: answers as objects, errors with what is wrong at which field. What the server wrote into the page is
// taken first; reading is tried again when the network or the server falters, changing never is.

import { useCallback, useEffect, useRef, useState } from "./vendor/preact.js";
import { followServer } from "./kit/value.js";

const API = "/api/v1";
const TIMEOUT_MS = 20_000;
/** Of one question, the first included. */
const TRIES_MAX = 4;
const PAUSE_MS = 500;
const PAUSE_MAX_MS = 8_000;
/** Latest answers kept, so that a page that is opened again shows something at once. */
const KEPT_MAX = 60;
const PAGES_MAX = 20;

/** The server answered that it will not. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {any} body
   * @param {number|null} retryAfterS
   */
  constructor(status, body, retryAfterS = null) {
    super(body?.error?.message ?? `the server answered with status ${status}`);
    this.status = status;
    /** @type {string} */
    this.code = body?.error?.code ?? "INTERNAL_ERROR";
    /** @type {{field: string, message: string}[]} */
    this.details = body?.error?.details ?? [];
    this.retryAfterS = retryAfterS;
  }
}

/** No answer: nothing is known of what became of the question. */
export class NetworkError extends Error {}

/** @param {unknown} error @param {number} status */
export const hasStatus = (error, status) => error instanceof ApiError && error.status === status;

/**
 * What the server wrote into the page: who is signed in, and answers.
 * @type {{user: User|null, answers: Record<string, any>}}
 */
export const first = readFirst();

/** @typedef {import("./api").User} User */

function readFirst() {
  const text = document.getElementById("first")?.textContent;
  if (!text) return { user: null, answers: {} };
  const { user, time, answers } = JSON.parse(text);
  followServer(time);
  return { user, answers };
}

/**
 * Who has the tokens: `session.js`.
 * @type {{token: () => Promise<string>, renew: () => Promise<unknown>}}
 */
let keys = { token: () => Promise.reject(new NetworkError("nobody has signed in")), renew: () => Promise.resolve() };
/** @param {typeof keys} holder */
export const useKeys = (holder) => void (keys = holder);

/**
 * One request as it is, without sign-in unless a token is given.
 * @param {string} method
 * @param {string} path below `/api/v1`
 * @param {{body?: object, token?: string, signal?: AbortSignal, once?: string}} with_ `once` is an Idempotency-Key
 * @returns {Promise<any>} the body of a good answer
 */
export async function call(method, path, { body, token, signal, once } = {}) {
  const headers = new Headers();
  if (body !== undefined) headers.set("Content-Type", "application/json");
  if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
  if (once !== undefined) headers.set("Idempotency-Key", once);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), TIMEOUT_MS);
  const stop = () => late.abort();
  signal?.addEventListener("abort", stop);
  try {
    const response = await fetch(API + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: late.signal });
    followServer(response.headers.get("Date"));
    const text = await response.text();
    const answer = text === "" ? null : JSON.parse(text);
    if (!response.ok) throw new ApiError(response.status, answer, Number(response.headers.get("Retry-After")) || null);
    return answer;
  } catch (error) {
    if (error instanceof ApiError || signal?.aborted) throw error;
    if (error instanceof SyntaxError) throw new NetworkError("the answer is not from this service");
    throw new NetworkError(late.signal.aborted ? `no answer within ${TIMEOUT_MS / 1_000} s` : "no connection to the server");
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/**
 * Signed in; a token that is no longer good is renewed once.
 * @param {string} method
 * @param {string} path
 * @param {{body?: object, signal?: AbortSignal, once?: string}} with_
 */
async function signed(method, path, with_ = {}) {
  try {
    return await call(method, path, { ...with_, token: await keys.token() });
  } catch (error) {
    if (!hasStatus(error, 401) || with_.signal?.aborted) throw error;
    await keys.renew();
    return call(method, path, { ...with_, token: await keys.token() });
  }
}

/**
 * Reads. What the server wrote into the page is used once.
 * @param {string} path below `/api/v1`
 * @param {{signal?: AbortSignal}} with_
 * @returns {Promise<any>}
 */
export async function get(path, { signal } = {}) {
  const written = first.answers[API + path];
  delete first.answers[API + path];
  if (written !== undefined) return written;
  for (let tries = 1; ; tries++) {
    try {
      return await signed("GET", path, { signal });
    } catch (error) {
      const passing = error instanceof NetworkError || (error instanceof ApiError && (error.status >= 500 || error.status === 429));
      if (!passing || tries === TRIES_MAX || signal?.aborted) throw error;
      const asked = error instanceof ApiError ? (error.retryAfterS ?? 0) * 1_000 : 0;
      if (asked > PAUSE_MAX_MS) throw error;
      await pause(Math.max(asked, backOff(tries, PAUSE_MS, PAUSE_MAX_MS)), signal);
    }
  }
}

/**
 * All rows of a list, page after page.
 * @param {string} path with a `limit`
 * @param {string} noun
 * @param {{signal?: AbortSignal}} with_
 * @returns {Promise<any>} the body, as if it were one page
 */
export async function getAll(path, noun, with_ = {}) {
  const body = await get(path, with_);
  const rows = [...body[noun]];
  let cursor = body.next_cursor;
  for (let page = 1; cursor !== null && page < PAGES_MAX; page++) {
    const more = await get(`${path}&cursor=${encodeURIComponent(cursor)}`, with_);
    rows.push(...more[noun]);
    cursor = more.next_cursor;
  }
  return { ...body, [noun]: rows, next_cursor: cursor };
}

/**
 * Changes something. A `POST` carries a key, so that the same `once` again has no second effect.
 * @param {"POST"|"PUT"|"DELETE"} method
 * @param {string} path
 * @param {object} [body]
 * @param {string} [once]
 */
export const send = (method, path, body, once) => signed(method, path, { body, once });

/**
 * A pause that doubles with each try, less a random part, so that pages do not come back all at once.
 * @param {number} tries
 * @param {number} firstMs
 * @param {number} mostMs
 */
export const backOff = (tries, firstMs, mostMs) => Math.min(mostMs, firstMs * 2 ** (tries - 1)) * (0.6 + 0.4 * Math.random());

/** @param {number} ms @param {AbortSignal} [signal] */
const pause = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener("abort", () => {
    clearTimeout(timer);
    reject(new NetworkError("given up"));
  });
});

// For components

/**
 * Idempotency-Keys for a form: the same values sent again, after no answer, have the same key.
 * @returns {(body: object) => string}
 */
export function useOnce() {
  const last = useRef({ of: "", key: "" });
  return (body) => {
    const of = JSON.stringify(body);
    if (last.current.of !== of) {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      last.current = { of, key: [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
    }
    return last.current.key;
  };
}

/** @type {Map<string, any>} */
const kept = new Map(Object.entries(first.answers).map(([path, body]) => [path.slice(API.length), body]));

/** @param {string} path @param {any} data */
function keep(path, data) {
  kept.delete(path);
  kept.set(path, data);
  if (kept.size > KEPT_MAX) kept.delete(/** @type {string} */ (kept.keys().next().value));
}

/** Forgets the answers to somebody who has left. */
export function forget() {
  kept.clear();
  first.answers = {};
}

/**
 * An answer as a component's state: the last one known until the new one is here, and beside an error too.
 * @param {string|null} path null asks nothing
 * @param {{noun?: string, everyMs?: number}} how `noun` reads all pages of a list; `everyMs` asks again and again
 * @returns {{data: any, error: unknown, reload: () => void, put: (data: any) => void}} `put` takes an answer that was had elsewhere
 */
export function useGet(path, { noun, everyMs } = {}) {
  const [found, setFound] = useState(/** @type {{path: string|null, data: any, error: unknown}} */ ({ path: null, data: null, error: null }));
  const [asked, setAsked] = useState(0);
  const reload = useCallback(() => setAsked((count) => count + 1), []);
  const put = useCallback((/** @type {any} */ data) => {
    if (path === null) return;
    keep(path, data);
    setFound({ path, data, error: null });
  }, [path]);
  useEffect(() => {
    if (path === null) return;
    const left = new AbortController();
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    let timer;
    const load = async () => {
      try {
        const data = await (noun === undefined ? get(path, { signal: left.signal }) : getAll(path, noun, { signal: left.signal }));
        if (left.signal.aborted) return;
        put(data);
      } catch (error) {
        if (left.signal.aborted) return;
        setFound((before) => ({ path, data: before.path === path ? before.data : kept.get(path) ?? null, error }));
      }
      if (everyMs !== undefined) timer = setTimeout(load, everyMs);
    };
    load();
    return () => {
      left.abort();
      clearTimeout(timer);
    };
  }, [path, asked, everyMs]);
  if (found.path === path) return { data: found.data, error: found.error, reload, put };
  return { data: path === null ? null : kept.get(path) ?? null, error: null, reload, put };
}
