// Pictures of the main pages for the README, taken of the demo: each is written into the folder that is named.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { chromium } from "@playwright/test";
import { LAUNCH } from "./browser.js";

const TARGET = process.env.CARGO_TARGET_DIR ?? new URL("../../target", import.meta.url).pathname;
const PORTS = ["--cloud-port", "0", "--panel-port", "0", "--modbus-port", "0", "--mqtt-port", "0"];
/** So long the demo has run, so that there is a past to look at. */
const PAST_MS = 270_000;
const LOOK_EVERY_MS = 1_000;
const DESK = { width: 1_280, height: 800 };
const PHONE = { width: 390, height: 844 };

const folder = process.argv[2];
const demo = spawn(`${TARGET}/release/riverwatts-demo`, ["run", "--story", "debris", ...PORTS], { stdio: ["ignore", "pipe", "inherit"] });
const lines = createInterface(demo.stdout);
const ready = await new Promise((resolve) => lines.on("line", (line) => line.startsWith("ready ") && resolve(JSON.parse(line.slice("ready ".length)))));
const api = `${ready.cloud}/api/v1`;
const who = { email: "admin@demo.riverwatts.example", password: "demo-riverwatts" };

const browser = await chromium.launch(LAUNCH);
const visitor = async (/** @type {import("@playwright/test").BrowserContextOptions} */ options) => {
  const context = await browser.newContext({ timezoneId: "America/Anchorage", locale: "en-GB", ...options });
  await context.request.post(`${api}/auth/login`, { data: who });
  return context.newPage();
};
const { access_token } = await (await fetch(`${api}/auth/login`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(who) })).json();
const ask = async (/** @type {string} */ path) => (await fetch(api + path, { headers: { Authorization: `Bearer ${access_token}` } })).json();
const { sites: [site] } = await ask("/sites");
const turbine = (await ask("/devices")).devices.find(({ key }) => key === "turbine-1");

const begun = Date.parse((await ask(`/devices/${turbine.id}/readings?order=asc&limit=1`)).readings[0].timestamp);
await new Promise((resolve) => {
  const looking = setInterval(() => {
    if (Date.now() - begun < PAST_MS) return;
    clearInterval(looking);
    resolve(null);
  }, LOOK_EVERY_MS);
});

const span = `from=${new Date(begun).toISOString()}&to=${new Date(begun + PAST_MS).toISOString()}`;
const PICTURES = [
  { name: "fleet", at: ready.cloud, viewport: { ...DESK, height: 460 }, colorScheme: "light", until: "Energy today" },
  { name: "site", at: `${ready.cloud}/sites/${site.id}`, viewport: { ...DESK, height: 900 }, colorScheme: "light", until: "Last hour" },
  { name: "device", at: `${ready.cloud}/devices/${turbine.id}?${span}&metric=power_output_kw,rotor_rpm`, viewport: { ...DESK, height: 900 }, colorScheme: "dark", until: "As a table" },
  { name: "panel", at: ready.panel, viewport: DESK, colorScheme: "light", until: "turbine-1" },
  { name: "panel-phone", at: `${ready.panel}/devices/turbine-1`, viewport: PHONE, colorScheme: "dark", until: "As a table" },
];
for (const { name, at, viewport, colorScheme, until } of PICTURES) {
  const page = await visitor({ viewport, colorScheme: /** @type {"light"|"dark"} */ (colorScheme), reducedMotion: "reduce" });
  await page.goto(at);
  await page.getByText(until).first().waitFor();
  await page.waitForLoadState("networkidle").catch(() => {}); // a panel asks again and again
  await page.locator("[aria-busy=true], .bone").first().waitFor({ state: "detached" });
  await page.screenshot({ path: `${folder}/${name}.png` });
  await page.context().close();
}
await browser.close();
demo.kill("SIGTERM");
await new Promise((ended) => demo.on("exit", ended));
