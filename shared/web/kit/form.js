// Forms: labels, hints, errors at their field (from an answer's `details` too), focus to the first of them, and one
// submission at a time.

import { html, createContext, useContext, useId, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { Notice, messageOf } from "./value.js";

/** @typedef {import("../vendor/preact.js").Children} Children */

/** What a form tells its fields. */
const Around = createContext(/** @type {{errors: Record<string, string>, busy: boolean}} */ ({ errors: {}, busy: false }));

/**
 * Calls `send` with the fields' values. What it throws is shown: `details: [{field, message}]` at their
 * fields, all else above them.
 * @param {{send: (values: Record<string, string>, form: HTMLFormElement) => unknown, label: string, submit: Children,
 *   cancel?: () => void, danger?: boolean, children?: Children}} props `label` names the form.
 */
export function Form({ send, label, submit, cancel, danger = false, children }) {
  const form = useRef(/** @type {HTMLFormElement|null} */ (null));
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(/** @type {{errors: Record<string, string>, message: string|null}} */ ({ errors: {}, message: null }));

  useLayoutEffect(() => {
    if (failure.message === null && Object.keys(failure.errors).length === 0) return;
    const first = form.current?.querySelector("[aria-invalid=true], .form-problem");
    /** @type {HTMLElement|null|undefined} */ (first)?.focus();
  }, [failure]);

  /** @param {SubmitEvent} event */
  async function submitted(event) {
    event.preventDefault();
    const target = /** @type {HTMLFormElement} */ (event.currentTarget);
    if (busy) return;
    setBusy(true);
    try {
      const texts = [...new FormData(target)].map(([name, value]) => [name, String(value)]);
      await send(Object.fromEntries(texts), target);
      setFailure({ errors: {}, message: null });
    } catch (error) {
      setFailure(failureOf(error, (name) => target.elements.namedItem(name) !== null));
    }
    setBusy(false);
  }

  return html`<form class="form" ref=${form} aria-label=${label} aria-busy=${busy} onSubmit=${submitted} novalidate>
    ${failure.message !== null && html`<div class="form-problem" tabindex="-1"><${Notice} kind="bad" title=${failure.message} /></div>`}
    <${Around.Provider} value=${{ errors: failure.errors, busy }}>${children}<//>
    <div class="form-actions">
      <button class=${`button ${danger ? "danger" : "primary"}`} aria-disabled=${busy}>${busy && html`<span class="spinner" aria-hidden="true"></span>`}${submit}</button>
      ${cancel && html`<button type="button" class="button" onClick=${cancel}>Cancel</button>`}
    </div>
  </form>`;
}

/**
 * An error's parts: by field where the form has it, else in words above the fields.
 * @param {unknown} error
 * @param {(field: string) => boolean} has
 */
export function failureOf(error, has) {
  /** @type {{field: string, message: string}[]} */
  const details = /** @type {any} */ (error)?.details ?? [];
  const placed = details.filter(({ field }) => has(field));
  const loose = details.filter(({ field }) => !has(field)).map(({ field, message }) => `${field}: ${message}`);
  const message = placed.length > 0 && loose.length === 0 ? null : [messageOf(error), ...loose].join("; ");
  return { errors: Object.fromEntries(placed.map(({ field, message }) => [field, message])), message };
}

/**
 * A field with its label. `type` is an input's, or `select` with `options`, or `textarea`, or `checkbox`.
 * `value` is the one at first. Other attributes (`autocomplete`, `required`, `min`, `inputmode`, `onInput` …) go to the input.
 * @param {{name: string, label: string, type?: string, hint?: Children, value?: string|number|boolean,
 *   options?: {value: string, label: string}[], error?: string} & Record<string, any>} props
 */
export function Field({ name, label, type = "text", hint, value, options = [], error: own, ...attributes }) {
  const { errors, busy } = useContext(Around);
  const id = useId();
  const error = own ?? errors[name];
  const about = [hint !== undefined && `${id}-hint`, error !== undefined && `${id}-error`].filter(Boolean).join(" ");
  const common = { id, name, readonly: busy, "aria-invalid": error !== undefined, "aria-describedby": about || undefined, ...attributes };
  const check = type === "checkbox";
  const input = type === "select"
    ? html`<select class="input" ...${common}>${options.map((option) => html`<option key=${option.value} value=${option.value} selected=${option.value === value}>${option.label}</option>`)}</select>`
    : type === "textarea" ? html`<textarea class="input" rows="3" ...${common} defaultValue=${value}></textarea>`
    : check ? html`<input type="checkbox" ...${common} defaultChecked=${Boolean(value)} />`
    : html`<input class="input" type=${type} ...${common} defaultValue=${value} />`;
  const words = html`<label for=${id}>${label}${attributes.required && html`<span class="required" aria-hidden="true"> *</span>`}</label>`;
  return html`<div class=${`field${check ? " check" : ""}`}>
    ${check ? html`${input}${words}` : html`${words}${input}`}
    ${hint !== undefined && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error !== undefined && html`<p class="field-error" id=${`${id}-error`}>${error}</p>`}
  </div>`;
}
