// Instead of a page whose thing cannot be had: out of sight, not permitted, or not to be reached.

import { html } from "./vendor/preact.js";
import { Failed } from "./kit/value.js";
import { hasStatus } from "./request.js";

/** @param {{error: unknown, what: string, retry: () => void}} props `what` is `site` or `device` */
export function Refused({ error, what, retry }) {
  if (hasStatus(error, 404) || hasStatus(error, 422) || hasStatus(error, 400)) {
    return html`<div class="page-head"><h1>No such ${what}</h1></div><p>There is no ${what} at this address, or you have no sight of it. <a href="/">Go to the sites</a>.</p>`;
  }
  if (hasStatus(error, 403)) {
    return html`<div class="page-head"><h1>Not permitted</h1></div><p>Your role may not see this ${what}. <a href="/">Go to the sites</a>.</p>`;
  }
  return html`<div class="page-head"><h1>Not to be reached</h1></div><${Failed} error=${error} retry=${retry} />`;
}
