// Debian's Chromium, as tests, benches and screenshots start it: nothing of it speaks to anybody outside.

/** @type {import("@playwright/test").LaunchOptions} */
export const LAUNCH = {
  executablePath: "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
};
