// Asks for the password, in a dialog over what it is needed for.

import { html } from "./vendor/preact.js";
import { Dialog } from "./kit/dialog.js";
import { Field, Form } from "./kit/form.js";
import { signIn } from "./change.js";

/** @param {{end: (done: boolean) => void}} props */
export default function SignIn({ end }) {
  const cancel = () => end(false);
  return html`<${Dialog} title="Sign in" close=${cancel}>
    <p>Changing something needs the password of this gateway's panel. It was set by <span class="mono">riverwatts-edge passwd</span>.</p>
    <${Form} label="Sign in" submit="Sign in" cancel=${cancel} send=${async (/** @type {Record<string, string>} */ { password }) => {
      await signIn(password);
      end(true);
    }}><${Field} name="password" label="Password" type="password" autocomplete="current-password" required autofocus /><//>
  <//>`;
}
