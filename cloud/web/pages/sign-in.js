// The sign-in, at whatever address somebody came to: that page follows.

import { html, useState } from "../vendor/preact.js";
import { Notice } from "../kit/value.js";
import { useTitle } from "../kit/shell.js";
import { Field, Form } from "../kit/form.js";
import { session, signIn } from "../session.js";

export default function SignIn() {
  useTitle("Sign in");
  const [shown, setShown] = useState(false);
  const [capital, setCapital] = useState(false);
  /** @param {KeyboardEvent|MouseEvent} event */
  const look = (event) => setCapital(event.getModifierState("CapsLock"));
  /** @param {Record<string, string>} values */
  const send = ({ email, password }) => {
    const details = [["email", email], ["password", password]].filter(([, value]) => value.trim() === "").map(([field]) => ({ field, message: "is needed" }));
    if (details.length > 0) throw Object.assign(new Error("Fill in both fields."), { details });
    return signIn(email.trim(), password);
  };
  const why = session.value.why;
  return html`<div class="sign-in card stack">
    <h1>Sign in</h1>
    ${why !== null && html`<${Notice} title=${why} />`}
    <${Form} label="Sign in" submit="Sign in" send=${send}>
      <${Field} name="email" label="E-mail" type="email" autocomplete="username" autocapitalize="none" spellcheck=${false} required />
      <${Field} name="password" label="Password" type=${shown ? "text" : "password"} autocomplete="current-password" autocapitalize="none" spellcheck=${false} required
        hint=${capital ? "Caps Lock is on." : undefined} onKeyDown=${look} onKeyUp=${look} onMouseUp=${look} />
      <label class="row"><input type="checkbox" checked=${shown} onChange=${() => setShown(!shown)} /> Show the password</label>
    <//>
  </div>`;
}
