// How the browser's tests run: three at a time, as much of it is waiting, each on a site of its own, in Debian's Chromium.

import { defineConfig } from "@playwright/test";
import { LAUNCH } from "./browser.js";

export default defineConfig({
  testDir: ".",
  outputDir: "../../target/web-tests",
  reporter: "list",
  workers: 3,
  fullyParallel: true,
  forbidOnly: true,
  timeout: 120_000,
  expect: { timeout: 20_000 },
  use: { browserName: "chromium", launchOptions: LAUNCH, actionTimeout: 20_000, navigationTimeout: 20_000, timezoneId: "America/Anchorage", locale: "en-GB" },
});
