// Readings that the cloud refused, by device and reason: what that means, and sending them again or giving them up.

import { html, useState } from "../vendor/preact.js";
import { toast, useTitle } from "../kit/shell.js";
import { Empty, Failed, Loading } from "../kit/value.js";
import { at, counted } from "../kit/format.js";
import { change } from "../change.js";
import { ask, gateway, useAnswer } from "../gateway.js";

/**
 * @typedef {{device: string, code: string, count: number, from: string, to: string, message: string, meaning: string, remedy: string}} Group
 * @typedef {{resend: boolean, count: number, of: string, which: {code?: string, device?: string}}} Choice
 */

const PATH = "/api/dead-letters/groups";

/** @param {{choice: Choice, end: (done: boolean) => void, Dialog: any, Form: any}} props */
function Confirm({ choice: { resend, count, of, which }, end, Dialog, Form }) {
  const readings = counted(count, "reading");
  const send = async () => {
    const answer = await change(`/api/dead-letters/${resend ? "resend" : "discard"}`, which);
    if (answer === null) return;
    toast(resend ? `${counted(answer.count, "reading")} will be sent again` : `${counted(answer.count, "reading")} discarded`);
    end(true);
  };
  return html`<${Dialog} title=${resend ? `Send ${readings} again?` : `Discard ${readings}?`} close=${() => end(false)}>
    <p>${readings} ${of}.</p>
    ${resend ? html`<p>They go to the cloud behind what already waits. What is refused again comes back to this page; nothing is stored twice.</p>`
      : html`<p>They will never reach the cloud. In their place a gap tells from when to when, how many, and that a person gave them up. <strong>This cannot be undone.</strong></p>`}
    <${Form} label=${resend ? "Send again" : "Discard"} submit=${resend ? "Send again" : "Discard for good"} danger=${!resend} cancel=${() => end(false)} send=${send} />
  <//>`;
}

/** @param {{of: string, count: number, which: {code?: string, device?: string}, choose: (choice: Choice) => void, all?: boolean}} props */
function Actions({ of, count, which, choose, all = false }) {
  const words = all ? ["Send all again …", "Discard all …"] : ["Send again …", "Discard …"];
  return html`<div class="form-actions">${[true, false].map((resend) => html`<button type="button" class="button" aria-label=${all ? undefined : `${words[resend ? 0 : 1]} ${of}`}
    onClick=${() => choose({ resend, count, of, which })}>${words[resend ? 0 : 1]}</button>`)}</div>`;
}

export default function DeadLetters() {
  const { site } = gateway.value;
  const [answer, error, again] = useAnswer(PATH, site.dead_letters);
  const [shown, show] = useState(/** @type {null|{choice: Choice, Dialog: any, Form: any}} */ (null));
  useTitle(`Refused readings · ${site.name}`);
  const head = html`<div class="page-head"><h1>Refused readings</h1></div>`;
  if (answer === null) return html`${head}${error === null ? html`<${Loading} rows=${6} />` : html`<${Failed} error=${error} retry=${again} />`}`;

  /** @type {Group[]} */
  const groups = answer.groups;
  const total = groups.reduce((sum, { count }) => sum + count, 0);
  /** @param {Choice} choice */
  const choose = async (choice) => {
    const [{ Dialog }, { Form }] = await Promise.all([import("../kit/dialog.js"), import("../kit/form.js")]);
    show({ choice, Dialog, Form });
  };
  /** @param {boolean} done */
  const end = (done) => {
    show(null);
    if (done) Promise.all([again(), ask()]);
  };
  return html`${head}
    ${groups.length === 0 ? html`<${Empty} title="No refused readings">What the cloud refuses would rest here until a person decides.<//>` : html`<div class="stack">
      <section class="card upkeep"><p>The cloud refused ${counted(total, "reading")}. They rest here and hold up nothing: newer readings go on.</p>
        ${groups.length > 1 && html`<${Actions} of="of all devices" count=${total} which=${{}} choose=${choose} all />`}</section>
      ${groups.map(({ device, code, count, from, to, message, meaning, remedy }) => html`<section class="card upkeep" key=${`${device} ${code}`}>
        <h2>${device}: ${counted(count, "reading")}</h2>
        <p class="trouble">${meaning}.</p><p><strong>What to do:</strong> ${remedy}.</p>
        <dl class="pairs"><dt>Taken</dt><dd>${at(from, site.timezone)}${from !== to && html` to ${at(to, site.timezone)}`}</dd><dt>The cloud said</dt><dd>${code.replaceAll("_", " ")}: ${message}</dd></dl>
        <${Actions} of=${`of ${device}, ${code.replaceAll("_", " ")}`} count=${count} which=${{ code, device }} choose=${choose} /></section>`)}
    </div>`}
    ${shown !== null && html`<${Confirm} ...${shown} end=${end} />`}`;
}
