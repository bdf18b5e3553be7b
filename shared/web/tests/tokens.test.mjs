import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const css = readFileSync(new URL("../kit/tokens.css", import.meta.url), "utf8");

/** The colours of the block that opens with this selector. @param {string} selector */
function block(selector) {
  const body = css.slice(css.indexOf(selector) + selector.length).split("}")[0];
  return Object.fromEntries([...body.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map(([, name, colour]) => [name, colour]));
}

const day = block(":root {");
const night = block(':root[data-theme="night"] {');

/** Relative luminance of WCAG 2.2. @param {string} colour */
function luminance(colour) {
  const [red, green, blue] = [1, 3, 5].map((start) => {
    const share = parseInt(colour.slice(start, start + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** @param {string} one @param {string} other */
function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

const GROUNDS = ["ground", "surface", "sunk", "raised"];
const TEXT = [
  ...GROUNDS.flatMap((ground) => ["ink", "soft", "accent", "good", "warn", "bad"].map((ink) => [ink, ground])),
  ...["accent", "good", "warn", "bad"].flatMap((kind) => [[kind, `${kind}-ground`], ["ink", `${kind}-ground`], ["accent", `${kind}-ground`]]),
  ["accent-ink", "accent"], ...[1, 2, 3, 4, 5, 6].map((series) => [`series-${series}`, "surface"]),
];
const SHAPES = GROUNDS.map((ground) => ["edge", ground]);

for (const [name, colours] of [["day", day], ["night", night]]) {
  test(`by ${name} every text is readable and every line of a shape is seen`, () => {
    for (const [least, pairs] of /** @type {const} */ ([[4.5, TEXT], [3, SHAPES]])) {
      for (const [ink, ground] of pairs) assert.ok(contrast(colours[ink], colours[ground]) >= least, `${ink} on ${ground}: ${contrast(colours[ink], colours[ground]).toFixed(2)}`);
    }
  });
}

test("night is the same whether the system or a person asks for it", () => {
  assert.deepEqual(block(':root:not([data-theme="day"]) {'), night);
  assert.deepEqual(Object.keys(night), Object.keys(day));
});
