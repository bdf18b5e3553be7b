// A text as a QR code, dark on light in both themes, for a phone's camera.

import { html, useMemo } from "../vendor/preact.js";
import { qrcode } from "../vendor/qr.js";

/** Light modules around the code that readers need (ISO/IEC 18004, 6.3.8). */
const QUIET = 4;

/** @param {{text: string, label: string, size?: number}} props */
export function Qr({ text, label, size = 200 }) {
  const { path, count } = useMemo(() => {
    const code = qrcode(0, "M");
    code.addData(text);
    code.make();
    const count = code.getModuleCount();
    const all = Array.from({ length: count * count }, (_, index) => [Math.floor(index / count), index % count]);
    return { count, path: all.filter(([row, column]) => code.isDark(row, column)).map(([row, column]) => `M${column + QUIET} ${row + QUIET}h1v1h-1z`).join("") };
  }, [text]);
  const side = count + 2 * QUIET;
  return html`<svg class="qr" viewBox=${`0 0 ${side} ${side}`} width=${size} height=${size} role="img" aria-label=${label}><rect width=${side} height=${side} fill="#fff" /><path d=${path} fill="#000" /></svg>`;
}
