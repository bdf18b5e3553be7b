// The types of what ../vendor/qr.js exports, as far as the pages use them.
export interface Code { addData(text: string): void; make(): void; getModuleCount(): number; isDark(row: number, column: number): boolean; }
/** `version` 0 takes the smallest that fits. */
export function qrcode(version: number, level: "L" | "M" | "Q" | "H"): Code;
