// Tries one operation: its parameters and body as a form, the same as a curl command, and the answer.

import { html, useState } from "../vendor/preact.js";
import { messageOf } from "../kit/value.js";
import { caller } from "./caller.js";
import { exampleOf, resolved } from "./shape.js";

/** @typedef {import("./docs.js").Parameter} Parameter */

/** Longest answer that is shown, in characters. */
const SHOWN_MAX = 100_000;
/** Headers of an answer that say something to people. */
const HEADERS = ["etag", "location", "retry-after", "x-request-id"];

/**
 * Method, address and headers of a request.
 * @param {import("./docs.js").Place} place
 * @param {Record<string, string>} values
 * @param {string|undefined} mediaType
 */
function requestOf({ path, operation }, values, mediaType) {
  const query = new URLSearchParams();
  /** @type {Record<string, string>} */
  const headers = {};
  let filled = path;
  for (const { name, in: where } of operation.parameters ?? []) {
    const value = values[name] ?? "";
    if (where === "path") filled = filled.replace(`{${name}}`, encodeURIComponent(value));
    else if (value !== "" && where === "query") query.set(name, value);
    else if (value !== "") headers[name] = value;
  }
  if (mediaType !== undefined) headers["Content-Type"] = mediaType;
  const text = query.toString();
  return { url: filled + (text === "" ? "" : `?${text}`), headers };
}

/** @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** @param {{place: import("./docs.js").Place, shapes: import("./shape.js").Shapes}} props */
export function Attempt({ place, shapes }) {
  const { method, operation } = place;
  const [mediaType, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  const isText = mediaType === "application/json";
  const example = content && exampleOf(content.schema, shapes);
  const [values, setValues] = useState(/** @type {Record<string, string>} */ ({}));
  const [body, setBody] = useState(example === undefined ? "" : JSON.stringify(example, null, 2));
  const [file, setFile] = useState(/** @type {File|null} */ (null));
  const [answer, setAnswer] = useState(/** @type {{status: string, good: boolean, headers: string[][], text: string}|null} */ (null));
  const [busy, setBusy] = useState(false);
  const sends = mediaType !== undefined && (isText ? body !== "" : file !== null);
  const { url, headers } = requestOf(place, values, sends ? mediaType : undefined);
  const needsToken = operation.security.some((need) => "person" in need || "gateway" in need);
  const parts = [`curl -X ${method.toUpperCase()} ${quoted(location.origin + url)}`];
  if (needsToken) parts.push('-H "Authorization: Bearer $token"');
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (sends) parts.push(isText ? `-d ${quoted(body)}` : `--data-binary @${quoted(file?.name ?? "")}`);

  /** @param {SubmitEvent} event */
  async function send(event) {
    event.preventDefault();
    setBusy(true);
    const began = performance.now();
    try {
      const sent = new Headers(headers);
      if (caller.value !== null) sent.set("Authorization", `Bearer ${caller.value.token}`);
      const response = await fetch(url, { method: method.toUpperCase(), headers: sent, body: sends ? (isText ? body : file) : undefined });
      const text = await response.text();
      const took = Math.round(performance.now() - began);
      const shown = HEADERS.map((name) => [name, response.headers.get(name) ?? ""]).filter(([, value]) => value !== "");
      setAnswer({ status: `${response.status} in ${took} ms`, good: response.ok, headers: shown, text: pretty(text).slice(0, SHOWN_MAX) });
    } catch (error) {
      setAnswer({ status: "no answer", good: false, headers: [], text: messageOf(error) });
    }
    setBusy(false);
  }

  return html`<section class="attempt"><h4>Try it</h4>
    <form onSubmit=${send} aria-label=${`Try ${operation.operationId}`}>
      ${(operation.parameters ?? []).map((parameter) => html`<${Input} key=${parameter.name} parameter=${parameter} shapes=${shapes} value=${values[parameter.name] ?? ""}
        change=${(/** @type {string} */ value) => setValues({ ...values, [parameter.name]: value })} />`)}
      ${isText && html`<label class="wide">Body<textarea class="mono" rows=${Math.min(14, body.split("\n").length + 1)} spellcheck="false" value=${body} onInput=${(/** @type {any} */ event) => setBody(event.currentTarget.value)}></textarea></label>`}
      ${mediaType !== undefined && !isText && html`<label class="wide">Body, a file<input type="file" onChange=${(/** @type {any} */ event) => setFile(event.currentTarget.files[0] ?? null)} /></label>`}
      <div class="row wide"><button class="button primary" aria-disabled=${busy}>Send</button>
        ${needsToken && caller.value === null && html`<span class="soft small">Nobody is signed in on this page: the answer will be 401.</span>`}</div>
    </form>
    <pre tabindex="0" aria-label="The same with curl">${parts.join(" \\\n  ")}</pre>
    <div role="status">${answer !== null && html`<div class="reply">
      <p><span class=${`status ${answer.good ? "good" : "bad"}`}>${answer.status}</span> ${answer.headers.map(([name, value]) => html`<span class="small soft">${name}: <code>${value}</code></span> `)}</p>
      ${answer.text !== "" && html`<pre tabindex="0" aria-label="Answer">${answer.text}</pre>`}</div>`}</div>
  </section>`;
}

/** @param {{parameter: Parameter, shapes: import("./shape.js").Shapes, value: string, change: (value: string) => void}} props */
function Input({ parameter, shapes, value, change }) {
  const { name, required, schema } = parameter;
  const words = resolved(schema, shapes).enum;
  /** @param {any} event */
  const changed = (event) => change(event.currentTarget.value);
  const label = html`<span>${name}${required ? " *" : ""}</span>`;
  if (words !== undefined) {
    return html`<label>${label}<select value=${value} onChange=${changed}><option value=""></option>${words.map((word) => html`<option value=${word}>${word}</option>`)}</select></label>`;
  }
  const hint = schema.format === "date-time" ? "2026-11-24T08:15:30Z" : schema.format === "uuid" ? "a UUID" : schema.default === undefined ? "" : String(schema.default);
  return html`<label>${label}<input class="mono" required=${required} placeholder=${hint} value=${value} onInput=${changed} autocomplete="off" spellcheck="false" /></label>`;
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
