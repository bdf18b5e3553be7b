// Who calls when an operation is tried. The token stays in this page's memory.

import { html, signal, useState } from "../vendor/preact.js";
import { Badge, messageOf } from "../kit/value.js";
import { Field, Form } from "../kit/form.js";

/** Access token or credential, and whose it is. */
export const caller = signal(/** @type {{token: string, name: string}|null} */ (null));

/**
 * @param {string} path
 * @param {object} [body]
 */
async function tokens(path, body) {
  const headers = new Headers(body === undefined ? [] : [["Content-Type", "application/json"]]);
  const answer = await fetch(`/api/v1/auth/${path}`, { method: "POST", headers, body: body && JSON.stringify(body) });
  const found = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(found.error.message), { details: found.error.details ?? [] });
  caller.value = { token: found.access_token, name: `${found.user.email}, ${found.user.role}` };
}

/** The session of this browser; one tab after the other, so that they do not spoil it for each other. */
const resume = () => (navigator.locks ? navigator.locks.request("riverwatts-refresh", () => tokens("refresh")) : tokens("refresh"));

export function Caller() {
  const [problem, setProblem] = useState("");
  if (caller.value !== null) {
    return html`<section class="card row" aria-label="Caller"><${Badge} kind="good">${caller.value.name}<//><span class="soft">is who calls below.</span>
      <button type="button" class="button" onClick=${() => (caller.value = null)}>Forget</button></section>`;
  }
  return html`<details class="card"><summary><strong>Sign in to try operations</strong></summary>
    <div class="grid callers">
      <${Form} label="Sign in" submit="Sign in" send=${(/** @type {any} */ values) => tokens("login", values)}>
        <${Field} name="email" label="E-mail" type="email" autocomplete="username" required />
        <${Field} name="password" label="Password" type="password" autocomplete="current-password" required />
      <//>
      <${Form} label="Token" submit="Use it" send=${(/** @type {any} */ { token }) => (caller.value = { token: token.trim(), name: "the token that was pasted" })}>
        <${Field} name="token" label="Or an access token or a gateway's credential" autocomplete="off" required />
      <//>
      <div class="stack"><p class="soft">Or, where the dashboard is signed in:</p>
        <button type="button" class="button" onClick=${() => resume().catch((error) => setProblem(messageOf(error)))}>Use this browser's session</button>
        <p role="alert" class="problem">${problem}</p></div>
    </div>
  </details>`;
}
