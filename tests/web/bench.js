// What the pages take in a browser, on simulated links: one line of JSON with the runs of each number.
// Called by the bench suite `web` with what the stage tells; docs/benchmarks.md says what is measured.

import { chromium } from "@playwright/test";
import { LAUNCH } from "./browser.js";

const RUNS = 7;
const KIB = 1_024;
/** A satellite or a bad mobile link, and the LAN of a site over a long radio bridge. */
const FAR = { latency: 400, downloadThroughput: 400_000 / 8, uploadThroughput: 400_000 / 8 };
const SITE = { latency: 300, downloadThroughput: 1_000_000 / 8, uploadThroughput: 1_000_000 / 8 };

/** @type {import("./stage.js").Told & {month: string}} */
const told = JSON.parse(process.argv[2]);
const browser = await chromium.launch(LAUNCH);
/** @type {Record<string, number[]>} */
const runs = {};

/** @param {string} name @param {number} value */
const ran = (name, value) => (runs[name] ??= []).push(value);

/**
 * A new browser without anything in its cache, and what comes over its network.
 * @param {typeof FAR|null} link
 * @param {string|null} email who is signed in
 */
async function open(link, email) {
  const context = await browser.newContext({ viewport: { width: 1_280, height: 800 } });
  if (email !== null) await context.request.post(`${told.cloud}/api/v1/auth/login`, { data: { email, password: told.password } });
  const page = await context.newPage();
  const tools = await context.newCDPSession(page);
  await tools.send("Network.enable");
  if (link !== null) await tools.send("Network.emulateNetworkConditions", { offline: false, ...link });
  /** @type {{of: string, bytes: number}[]} */
  const answers = [];
  const of = new Map();
  tools.on("Network.requestWillBeSent", ({ requestId, type }) => of.set(requestId, type));
  tools.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => answers.push({ of: of.get(requestId), bytes: encodedDataLength }));
  return { page, answers, end: () => context.close() };
}

/**
 * Before the page's own scripts: a promise of when a state was on screen, in ms since the navigation began.
 * @param {import("@playwright/test").Page} page
 * @param {string} name
 * @param {() => boolean} isThere runs in the page at each change
 */
const watch = (page, name, isThere) => page.addInitScript(`
  window[${JSON.stringify(name)}] = new Promise((resolve) => {
    const isThere = ${isThere};
    const changes = new MutationObserver(() => {
      if (!isThere()) return;
      changes.disconnect();
      // Behind the frame that shows it.
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
    });
    changes.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  });`);

/** @param {import("@playwright/test").Page} page @param {string} name @returns {Promise<number>} */
const when = (page, name) => page.evaluate((held) => window[held], name);

const fleetIsThere = () => /Demo River[\s\S]*\d\s*kW\s+of/.test(document.querySelector("main table")?.innerText ?? "");
const valuesAreThere = () => /turbine-1[\s\S]*\d\s*kW/.test(document.querySelector("main")?.innerText ?? "");
/** The first control that a script drew answers. */
function answersAreThere() {
  const button = document.querySelector("button[aria-label^='Use the']");
  const before = document.documentElement.dataset.theme;
  button?.click();
  return document.documentElement.dataset.theme !== before;
}

for (let run = 0; run < RUNS; run++) {
  const fleet = await open(FAR, told.people.admin);
  await watch(fleet.page, "useful", fleetIsThere);
  await fleet.page.goto(told.cloud, { waitUntil: "commit" });
  ran("web.fleet_useful_ms", await when(fleet.page, "useful"));
  ran("web.fleet_kib", fleet.answers.reduce((sum, { bytes }) => sum + bytes, 0) / KIB);
  await fleet.end();

  const panel = await open(SITE, null);
  await watch(panel.page, "values", valuesAreThere);
  await watch(panel.page, "interactive", answersAreThere);
  await panel.page.goto(told.panel, { waitUntil: "commit" });
  ran("web.panel_values_ms", await when(panel.page, "values"));
  ran("web.panel_interactive_ms", await when(panel.page, "interactive"));
  ran("web.panel_first_answer_kib", panel.answers.find(({ of }) => of === "Document").bytes / KIB);
  await panel.end();

  const device = await open(null, told.people.admin);
  await device.page.goto(`${told.cloud}/devices/${told.month}`);
  const chart = device.page.getByRole("figure");
  await chart.and(device.page.locator("[aria-busy=false]")).getByText("As a table").waitFor();
  ran("web.month_chart_ms", await device.page.evaluate(monthAppears));
  await device.end();
}
await browser.close();
console.log(JSON.stringify(runs));

/** Clicks, in the page, and says how long it took until the month was drawn. */
function monthAppears() {
  const chart = document.querySelector("figure.chart");
  const button = [...document.querySelectorAll("button")].find(({ textContent }) => textContent === "30 d");
  let lines = 0;
  const stroke = CanvasRenderingContext2D.prototype.stroke;
  CanvasRenderingContext2D.prototype.stroke = function (...path) {
    lines += 1;
    return stroke.apply(this, path);
  };
  return new Promise((resolve) => {
    let before = 0;
    const look = () => {
      if (lines > before) return setTimeout(() => resolve(performance.now() - clicked));
      requestAnimationFrame(look);
    };
    let asked = false;
    new MutationObserver(() => {
      const busy = chart.getAttribute("aria-busy") === "true";
      if (busy) asked = true;
      else if (asked) {
        asked = false;
        before = lines;
        requestAnimationFrame(look);
      }
    }).observe(chart, { attributes: true, attributeFilter: ["aria-busy"] });
    const clicked = performance.now();
    button.click();
  });
}
