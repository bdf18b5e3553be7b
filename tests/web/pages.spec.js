// Every page, in both themes, on a phone and on a desk: axe-core finds nothing, and the page is no wider than the screen.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { expect, test } from "./test.js";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = [360, 1_440];
const THEMES = /** @type {const} */ (["light", "dark"]);

/** @typedef {import("./stage.js").Told} Told */
/** @typedef {import("@playwright/test").Page} Page */

/**
 * Whose page it is, where, and what shows that all of it is there.
 * @type {Record<string, {by?: "admin"|"customer", at: (told: Told) => string, until: (page: Page) => Promise<void>}>}
 */
const PAGES = {
  "sign-in": { at: ({ cloud }) => `${cloud}/sign-in`, until: (page) => expect(page.getByRole("button", { name: "Sign in" })).toBeVisible() },
  fleet: { by: "admin", at: ({ cloud }) => cloud, until: (page) => expect(page.getByRole("row", { name: "Demo River" })).toContainText("kW") },
  "fleet of a customer": { by: "customer", at: ({ cloud }) => cloud, until: (page) => expect(page.getByRole("row", { name: "Demo River" })).toContainText("kW") },
  "new site": { by: "admin", at: ({ cloud }) => `${cloud}/sites/new`, until: (page) => expect(page.getByRole("button", { name: "Add the site" })).toBeVisible() },
  site: { by: "admin", at: ({ cloud, site }) => `${cloud}/sites/${site.id}`, until: async (page) => {
    await expect(page.getByRole("row", { name: "turbine-1" })).toContainText("Power");
    await expect(page.getByRole("heading", { name: "Gaps" })).toBeVisible();
    await expect(page.getByText("River", { exact: true }).first()).toBeVisible();
  } },
  "site without a gateway": { by: "admin", at: ({ cloud, other }) => `${cloud}/sites/${other.id}`, until: (page) => expect(page.getByText("No gateway belongs to this site")).toBeVisible() },
  device: { by: "admin", at: ({ cloud, devices }) => `${cloud}/devices/${devices["turbine-1"]}`, until: (page) => expect(page.getByRole("figure")).toContainText("As a table") },
  gateways: { by: "admin", at: ({ cloud }) => `${cloud}/gateways`, until: (page) => expect(page.getByRole("row", { name: "Demo River" })).toContainText("connected") },
  "new gateway": { by: "admin", at: ({ cloud }) => `${cloud}/gateways?new`, until: (page) => expect(page.getByRole("button", { name: "Create its code" })).toBeVisible() },
  "no such site": { by: "admin", at: ({ cloud }) => `${cloud}/sites/01a20d04-5b09-7273-91b9-69d1c30816ad`, until: (page) => expect(page.getByRole("heading", { name: "No such site" })).toBeVisible() },
  styleguide: { at: ({ cloud }) => `${cloud}/styleguide`, until: (page) => expect(page.getByRole("figure").first()).toContainText("As a table") },
  "API document": { at: ({ cloud }) => `${cloud}/docs`, until: (page) => expect(page.getByRole("heading", { level: 1 })).toBeVisible() },
  "panel, site": { at: ({ panel }) => panel, until: (page) => expect(page.getByRole("article").filter({ hasText: "turbine-1" })).toContainText("kW") },
  "panel, devices": { at: ({ panel }) => `${panel}/devices`, until: (page) => expect(page.getByRole("row", { name: "turbine-1" })).toContainText("kW") },
  "panel, device": { at: ({ panel }) => `${panel}/devices/turbine-1`, until: (page) => expect(page.getByRole("figure")).toContainText("As a table") },
  "panel, buses": { at: ({ panel }) => `${panel}/buses`, until: (page) => expect(page.getByRole("heading", { name: "turbine-1-bus" })).toBeVisible() },
  "panel, clock": { at: ({ panel }) => `${panel}/clock`, until: (page) => expect(page.getByText("This device and the gateway agree.")).toBeVisible() },
  "panel, no refused readings": { at: ({ panel }) => `${panel}/dead-letters`, until: (page) => expect(page.getByRole("heading", { level: 1 })).toBeVisible() },
  "panel, link": { at: ({ panel }) => `${panel}/link`, until: (page) => expect(page.getByText("Readings that wait")).toBeVisible() },
};

/** What axe-core finds, in short. @param {Page} page @returns {Promise<string[]>} */
async function violations(page) {
  // Evaluated by the browser's tools, which no policy of the page hinders.
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} at ${target.join(" ")}: ${failureSummary.replaceAll("\n", " ")}`));
  });
}

for (const [name, { by, at, until }] of Object.entries(PAGES)) {
  test(`axe-core finds nothing on the page: ${name}`, async ({ stage, visitor, faults }) => {
    if (name === "no such site") faults.allow(/404 \(Not Found\).*\/api\/v1\/sites/);
    const page = await visitor(by ?? null, { reducedMotion: "reduce" });
    /** @type {Record<string, string[]>} */
    const found = {};
    await page.goto(at(stage.told));
    await until(page);
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      for (const colorScheme of THEMES) {
        await page.emulateMedia({ colorScheme });
        await expect(page.locator("html")).toHaveAttribute("data-theme", colorScheme === "light" ? "day" : "night");
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        found[`${width} px, ${colorScheme}`] = [...await violations(page), ...(wide > 0 ? [`${wide} px wider than the screen`] : [])];
      }
    }
    expect(Object.entries(found).flatMap(([where, faulty]) => faulty.map((fault) => `${where}: ${fault}`))).toEqual([]);
  });
}
