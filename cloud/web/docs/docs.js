// The API to browse and to try, drawn from its own document.

import { html, render, signal, useEffect, useState } from "../vendor/preact.js";
import { Shell } from "../kit/shell.js";
import { Failed, Loading } from "../kit/value.js";
import { Attempt } from "./attempt.js";
import { Caller } from "./caller.js";
import { Example, Shape, told } from "./shape.js";

/**
 * @typedef {import("./shape.js").Schema} Schema
 * @typedef {{name: string, in: "path"|"query"|"header", required: boolean, description?: string, schema: Schema}} Parameter
 * @typedef {{description: string, headers?: Record<string, unknown>, content?: Record<string, {schema: Schema, example?: unknown}>}} Answer
 * @typedef {{operationId: string, tags: string[], summary: string, security: Record<string, string[]>[],
 *   parameters?: Parameter[], requestBody?: {required: boolean, content: Record<string, {schema: Schema}>},
 *   responses: Record<string, Answer>}} Operation
 * @typedef {{info: {version: string, description: string}, tags: {name: string, description: string}[],
 *   paths: Record<string, Record<string, Operation>>, components: Record<string, Record<string, any>>}} Document
 * @typedef {{method: string, path: string, operation: Operation}} Place
 */

const DOCUMENT = "/api/v1/openapi.json";
/** The operation that the address names. */
const target = signal(location.hash.slice(1));
addEventListener("hashchange", () => {
  target.value = location.hash.slice(1);
});

/**
 * The operations under each tag, references to parameters and refusals put in.
 * @param {Document} document
 */
function placesByTag(document) {
  /** @param {any} part */
  const resolve = (part) => {
    const place = part.$ref?.split("/").slice(2);
    return place === undefined ? part : document.components[place[0]][place[1]];
  };
  const places = Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => {
    const parameters = operation.parameters?.map(resolve);
    const responses = Object.fromEntries(Object.entries(operation.responses).map(([status, answer]) => [status, resolve(answer)]));
    return { method, path, operation: { ...operation, parameters, responses } };
  }));
  return document.tags.map((tag) => ({ ...tag, places: places.filter(({ operation }) => operation.tags.includes(tag.name)) }));
}

/** @param {Operation} operation */
function who({ security }) {
  const words = security.map((need) => {
    if ("person" in need) return need.person.length > 0 ? need.person.join(", ") : "signed in";
    const [scheme = "anybody"] = Object.keys(need);
    return scheme.replace("_", " ");
  });
  return words.length === 0 ? "anybody" : words.join(" or ");
}

/** @param {{path: string}} props */
const Path = ({ path }) => html`<span class="path">${path.split(/(\{\w+\})/).map((part) => (part.startsWith("{") ? html`<em>${part}</em>` : part))}</span>`;

/** @param {{method: string}} props */
const Method = ({ method }) => html`<span class=${`method ${method}`}>${method.toUpperCase()}</span>`;

/** @param {{parameters: Parameter[], shapes: Record<string, Schema>}} props */
const Parameters = ({ parameters, shapes }) => html`<section><h4>Parameters</h4>
  <${Shape} shapes=${shapes} shape=${{
    type: "object",
    required: parameters.filter((parameter) => parameter.required).map(({ name }) => name),
    properties: Object.fromEntries(parameters.map(({ name, description, schema, in: where }) => [name, { ...schema, description: where === "query" ? description : [`In the ${where}.`, description].filter(Boolean).join(" ") }])),
  }} />
</section>`;

/** @param {{status: string, answer: Answer, shapes: Record<string, Schema>}} props */
function AnswerPart({ status, answer, shapes }) {
  const [content] = Object.entries(answer.content ?? {});
  const good = status.startsWith("2");
  const headers = Object.keys(answer.headers ?? {});
  return html`<details class="answer" open=${good}>
    <summary><span class=${`status ${good ? "good" : "bad"}`}>${status}</span> <span>${good ? (content?.[0] ?? "no body") : told(answer.description)}</span>
      ${headers.length > 0 && html` <span class="soft small">with ${headers.join(", ")}</span>`}</summary>
    ${content !== undefined && html`<div class="sides"><${Shape} shapes=${shapes} shape=${content[1].schema} /><${Example} shapes=${shapes} shape=${content[1].schema} example=${content[1].example} /></div>`}
  </details>`;
}

/** @param {{place: Place, shapes: Record<string, Schema>}} props */
function OperationCard({ place, shapes }) {
  const { method, path, operation } = place;
  const id = operation.operationId;
  const aimed = target.value === id;
  const [open, setOpen] = useState(aimed);
  useEffect(() => {
    if (!aimed) return;
    setOpen(true);
    document.getElementById(id)?.scrollIntoView();
  }, [aimed]);
  const body = Object.entries(operation.requestBody?.content ?? {})[0];
  const answers = Object.entries(operation.responses);
  /** @param {Event} event */
  const toggled = (event) => {
    const now = /** @type {HTMLDetailsElement} */ (event.currentTarget).open;
    setOpen(now);
    if (now && target.value !== id) history.replaceState(null, "", `#${id}`);
  };
  return html`<details class="card operation" id=${id} open=${open} onToggle=${toggled}>
    <summary><${Method} method=${method} /><${Path} path=${path} /><span class="summary">${told(operation.summary)}</span><span class="who">${who(operation)}</span></summary>
    ${open && html`<div class="stack">
      ${operation.parameters !== undefined && html`<${Parameters} parameters=${operation.parameters} shapes=${shapes} />`}
      ${body !== undefined && html`<section><h4>Body <span class="soft small">${body[0]}${operation.requestBody?.required ? "" : ", may be left out"}</span></h4>
        <${Shape} shapes=${shapes} shape=${body[1].schema} /></section>`}
      <${Attempt} place=${place} shapes=${shapes} />
      <section><h4>Answers</h4>${answers.map(([status, answer]) => html`<${AnswerPart} key=${status} status=${status} answer=${answer} shapes=${shapes} />`)}</section>
    </div>`}
  </details>`;
}

/**
 * Whether all words of a search are in an operation.
 * @param {string} search
 * @param {Place} place
 */
function fits(search, { method, path, operation }) {
  const text = `${method} ${path} ${operation.operationId} ${operation.summary} ${operation.tags}`.toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function Page() {
  const [found, setFound] = useState(/** @type {Document|null} */ (null));
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const [search, setSearch] = useState("");
  useEffect(() => {
    fetch(DOCUMENT).then((answer) => answer.json()).then(setFound, setError);
  }, []);
  if (error !== null) return html`<${Failed} error=${error} retry=${() => location.reload()} />`;
  if (found === null) return html`<${Loading} rows=${8} />`;
  const shapes = found.components.schemas;
  const tags = placesByTag(found).map((tag) => ({ ...tag, places: tag.places.filter((place) => fits(search, place)) })).filter((tag) => tag.places.length > 0);
  return html`<div class="docs">
    <aside>
      <label class="unseen" for="search">Search</label>
      <input id="search" type="search" placeholder="Search operations" value=${search} onInput=${(/** @type {any} */ event) => setSearch(event.currentTarget.value)} />
      <nav aria-label="Operations">${tags.map((tag) => html`<div key=${tag.name}><a class="tag" href=${`#${tag.name}`}>${tag.name}</a>
        <ul>${tag.places.map(({ method, path, operation }) => html`<li key=${operation.operationId}><a href=${`#${operation.operationId}`} aria-current=${target.value === operation.operationId ? "true" : undefined}><${Method} method=${method} /><span>${path.replace("/api/v1", "")}</span></a></li>`)}</ul></div>`)}</nav>
    </aside>
    <div class="stack">
      <div class="page-head"><h1>API</h1><span class="soft">version ${found.info.version}</span><a href=${DOCUMENT} download="openapi.json">openapi.json</a></div>
      <p>${told(found.info.description)}</p>
      <${Caller} />
      ${tags.length === 0 && html`<p class="soft" role="status">No operation has these words.</p>`}
      ${tags.map((tag) => html`<section class="stack" key=${tag.name}><div id=${tag.name} class="tag-head"><h2>${tag.name}</h2><p class="soft">${told(tag.description)}</p></div>
        ${tag.places.map((place) => html`<${OperationCard} key=${place.operation.operationId} place=${place} shapes=${shapes} />`)}</section>`)}
    </div>
  </div>`;
}

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
app.replaceChildren();
render(html`<${Shell} name="RiverWatts" links=${[]}><${Page} /><//>`, app);
