// Dialogs by the browser's own <dialog>: focus stays inside, Escape closes, focus goes back to where it was.

import { html, useEffect, useId, useRef } from "../vendor/preact.js";
import { Messages } from "./shell.js";

/** @typedef {import("../vendor/preact.js").Children} Children */

/**
 * Shown as long as it is part of the page.
 * @param {{title: Children, close: () => void, children?: Children}} props
 */
export function Dialog({ title, close, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement|null} */ (null));
  const id = useId();
  useEffect(() => {
    const before = /** @type {HTMLElement|null} */ (document.activeElement);
    dialog.current?.showModal();
    return () => before?.focus();
  }, []);
  /** @param {Event} event */
  const cancelled = (event) => {
    event.preventDefault();
    close();
  };
  return html`<dialog class="dialog" ref=${dialog} aria-labelledby=${id} onCancel=${cancelled}>
    <div class="dialog-head"><h2 id=${id}>${title}</h2><button type="button" class="icon-button" aria-label="Close" onClick=${close}>×</button></div>
    ${children}<${Messages} />
  </dialog>`;
}
