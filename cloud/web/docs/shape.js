// Shapes of bodies and answers as tables, and their examples.

import { html } from "../vendor/preact.js";

/**
 * @typedef {{$ref?: string, type?: string|string[], format?: string, enum?: unknown[], anyOf?: Schema[], items?: Schema,
 *   properties?: Record<string, Schema>, required?: string[], additionalProperties?: boolean|Schema,
 *   description?: string, examples?: unknown[], default?: unknown, pattern?: string, minimum?: number,
 *   maximum?: number, minLength?: number, maxLength?: number, maxItems?: number}} Schema
 * @typedef {Record<string, Schema>} Shapes
 */

/** How deep tables are drawn into each other. */
const DEPTH_MAX = 4;

/**
 * Words with `code` in them.
 * @param {string|undefined} text
 */
export const told = (text = "") => text.split("`").map((part, place) => (place % 2 === 1 ? html`<code>${part}</code>` : part));

/** @param {Schema} shape */
const nameOf = (shape) => shape.$ref?.split("/").pop();

/**
 * The shape itself instead of its place.
 * @param {Schema} shape
 * @param {Shapes} shapes
 * @returns {Schema}
 */
export function resolved(shape, shapes) {
  const name = nameOf(shape);
  return name === undefined ? shape : shapes[name] ?? {};
}

/**
 * A type in words.
 * @param {Schema} shape
 * @param {Shapes} shapes
 * @returns {string}
 */
function typeOf(shape, shapes) {
  const name = nameOf(shape);
  const inner = resolved(shape, shapes);
  if (inner.enum !== undefined) return inner.enum.join(" | ");
  if (name !== undefined) return name;
  if (shape.anyOf !== undefined) return shape.anyOf.map((each) => typeOf(each, shapes)).join(" | ");
  if (shape.type === undefined) return "anything";
  const types = [shape.type].flat();
  return types.map((type) => {
    if (type === "array") return `${typeOf(shape.items ?? {}, shapes)}[]`;
    if (type === "object" && typeof shape.additionalProperties === "object") return `object of ${typeOf(shape.additionalProperties, shapes)}`;
    return type === "string" && shape.format !== undefined ? shape.format : type;
  }).join(" | ");
}

/** @param {Schema} shape */
function bounds({ minimum, maximum, minLength, maxLength, maxItems, default: usual }) {
  const words = [];
  if (minimum !== undefined && maximum !== undefined) words.push(`${minimum} to ${maximum}`);
  else if (minimum !== undefined) words.push(`at least ${minimum}`);
  if (maxLength !== undefined) words.push(`${minLength ?? 0} to ${maxLength} characters`);
  if (maxItems !== undefined) words.push(`at most ${maxItems}`);
  if (usual !== undefined) words.push(`else ${JSON.stringify(usual)}`);
  return words.join(", ");
}

/**
 * What lies inside of a field: the shape to draw below it.
 * @param {Schema} shape
 * @param {Shapes} shapes
 * @returns {Schema|null}
 */
function inside(shape, shapes) {
  const inner = resolved(shape, shapes);
  if (inner.properties !== undefined) return inner;
  if (inner.items !== undefined) return inside(inner.items, shapes);
  for (const each of inner.anyOf ?? []) {
    const found = inside(each, shapes);
    if (found !== null) return found;
  }
  return null;
}

/** @param {{shape: Schema, shapes: Shapes, depth?: number}} props */
export function Shape({ shape, shapes, depth = 0 }) {
  const inner = inside(shape, shapes);
  if (inner === null) return html`<p class="soft">${typeOf(shape, shapes)}</p>`;
  const fields = Object.entries(inner.properties ?? {});
  return html`<div class="shape">
    ${depth === 0 && inner.description !== undefined && html`<p class="soft small">${told(inner.description)}</p>`}
    ${fields.length === 0 && html`<p class="soft">An object without fields.</p>`}
    <dl>${fields.map(([name, field]) => {
      const deeper = depth < DEPTH_MAX ? inside(field, shapes) : null;
      return html`<div key=${name}><dt><code>${name}</code>${inner.required?.includes(name) ? html`<abbr title="needed, always there">*</abbr>` : ""} <span class="type">${typeOf(field, shapes)}</span></dt>
        <dd><span class="small soft">${told(field.description)} ${bounds(field)}</span>
          ${deeper !== null && html`<details class="deeper"><summary class="small">its fields</summary><${Shape} shape=${deeper} shapes=${shapes} depth=${depth + 1} /></details>`}</dd></div>`;
    })}</dl>
  </div>`;
}

/**
 * @param {Schema} shape
 * @param {Shapes} shapes
 */
export const exampleOf = (shape, shapes) => resolved(shape, shapes).examples?.[0];

/** @param {{shape: Schema, shapes: Shapes, example?: unknown}} props */
export function Example({ shape, shapes, example }) {
  const shown = example ?? exampleOf(shape, shapes);
  return shown === undefined ? null : html`<pre tabindex="0" aria-label="Example">${JSON.stringify(shown, null, 2)}</pre>`;
}
