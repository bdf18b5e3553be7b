// Changing something at the gateway: whoever does it signs in where that is needed, and it is sent again.

import { signal } from "./vendor/preact.js";

/** Whether somebody is signed in here. */
export const signedIn = signal(false);
/**
 * The question for the password, while it is asked.
 * @type {import("./vendor/preact.js").Signal<null|{Question: import("./vendor/preact.js").Component, end: (done: boolean) => void}>}
 */
export const asking = signal(null);

/** @returns {Promise<boolean>} whether somebody signed in */
async function askPassword() {
  const { default: Question } = await import("./sign-in.js");
  const done = await new Promise((end) => {
    asking.value = { Question, end };
  });
  asking.value = null;
  return done;
}

/**
 * An answer's body; an error with its status and details where it is none.
 * @param {string} path
 * @param {object} body
 */
async function post(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), cache: "no-store" });
  const told = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw Object.assign(new Error(told?.error?.message ?? `${path}: ${answer.status}`), { status: answer.status, details: told?.error?.details ?? [] });
  return told;
}

/**
 * Has something changed; null when the person gave up at the password.
 * @param {string} path
 * @param {object} [body]
 */
export async function change(path, body = {}) {
  for (;;) {
    try {
      return await post(path, body);
    } catch (error) {
      if (/** @type {{status?: number}} */ (error).status !== 401) throw error;
    }
    signedIn.value = false;
    if (!(await askPassword())) return null;
  }
}

/** @param {string} password */
export async function signIn(password) {
  await post("/api/sign-in", { password });
  signedIn.value = true;
}

export async function signOut() {
  await post("/api/sign-out", {});
  signedIn.value = false;
}

/** Asks whether somebody is signed in from before. */
export async function recall() {
  const answer = await fetch("/api/session", { cache: "no-store" });
  if (answer.ok) signedIn.value = (await answer.json()).signed_in;
}
