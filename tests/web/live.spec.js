// Values as they are measured: live, growing old, stale; the link lost and back.

import { expect, signIn, test } from "./test.js";

/** Everything changes within this time while it is live. */
const LIVE_MS = 10_000;
/** The server takes a link for lost after half a minute of silence. */
const LOST_MS = 60_000;
/** Three intervals, at least half a minute, and the pause between uploads. */
const STALE_MS = 60_000;
/** The gateway's longest pause between two attempts, and some. */
const BACK_MS = 60_000;

/** How old something is, in seconds. @param {import("@playwright/test").Locator} place */
async function ageS(place) {
  const [, count, unit] = /(\d+) (s|min) ago/.exec(await place.innerText()) ?? [null, "0", "s"];
  return Number(count) * (unit === "s" ? 1 : 60);
}

test("somebody signs in and sees three different values within ten seconds", async ({ stage, visitor }) => {
  const { people, password, site } = stage.told;
  const page = await visitor(null);
  await page.goto("/");
  await signIn(page, people.viewer, password);
  await page.getByRole("link", { name: site.name }).click();
  await expect(page.getByRole("heading", { level: 1, name: site.name })).toBeVisible();
  const turbine = page.getByRole("row", { name: "turbine-1" });
  const seen = new Set();
  await expect(async () => {
    seen.add(/Power\s*([\d.]+)/.exec(await turbine.innerText())?.[1]);
    expect(seen.size, [...seen].join()).toBeGreaterThanOrEqual(3);
  }).toPass({ timeout: LIVE_MS, intervals: [100] });
});

test("the age of a silenced meter counts up until it is stale, on the dashboard and the panel", async ({ stage, visitor }) => {
  const { cloud, panel, site } = stage.told;
  const page = await visitor("technician");
  await page.goto(`/sites/${site.id}`);
  const meter = page.getByRole("row", { name: "meter-1" });
  await expect(meter).toContainText("ok");
  const atSite = await visitor(null, { baseURL: panel });
  await atSite.goto("/");
  const card = atSite.getByRole("article").filter({ hasText: "meter-1" });
  await expect(card).toContainText(/now|\d s ago/);

  await stage.order({ do: "silence", on: true });
  const counted = new Set();
  await expect(async () => {
    const age = await ageS(meter);
    // Readings that were under way have arrived then.
    if (age > 4) counted.add(age);
    expect(counted.size, [...counted].join()).toBeGreaterThanOrEqual(4);
  }).toPass({ timeout: 20_000, intervals: [200] });
  expect([...counted], "an age never runs back").toEqual([...counted].sort((one, other) => one - other));
  // Read every two seconds: stale at the site after six.
  await expect(card).toContainText("stale");
  expect(await ageS(card)).toBeGreaterThan(6);
  await expect(meter).not.toContainText("stale");
  await expect(meter).toContainText("stale", { timeout: STALE_MS });
  expect(await ageS(meter)).toBeGreaterThanOrEqual(40);
  await expect(meter).toContainText("silent");
  await expect(page.getByRole("row", { name: "turbine-1" })).not.toContainText("stale");
  await page.goto(`${cloud}/devices/${stage.told.devices["meter-1"]}`);
  await expect(page.getByRole("heading", { name: "Latest known" })).toBeVisible();

  await stage.order({ do: "silence", on: false });
  await expect(page.getByRole("heading", { name: "Now", exact: true })).toBeVisible({ timeout: BACK_MS });
  await expect(card).not.toContainText("stale", { timeout: BACK_MS });
});

test("the link is shown lost and back without a reload", async ({ stage, visitor }) => {
  const { panel, site } = stage.told;
  const page = await visitor("viewer");
  await page.goto(`/sites/${site.id}`);
  const fleet = await visitor("admin");
  await fleet.goto("/");
  const atSite = await visitor(null, { baseURL: panel });
  await atSite.goto("/link");
  const pages = [page, fleet, atSite];
  for (const each of pages) await each.evaluate(() => void (window.here = true));
  const heading = page.locator(".page-head");
  const row = fleet.getByRole("row", { name: site.name });
  await expect(heading).toContainText("connected");
  await expect(row).toContainText("connected");
  await expect(atSite.getByRole("main")).toContainText("connected");

  await stage.order({ do: "cut", on: true });
  await expect(atSite.getByRole("main")).toContainText("link lost", { timeout: LOST_MS });
  await expect(page.getByText("The link to this site is lost")).toBeVisible({ timeout: LOST_MS });
  await expect(row).toContainText("link lost", { timeout: LOST_MS });
  await expect(row).toContainText(/last seen \d+ s ago/);

  await stage.order({ do: "cut", on: false });
  await expect(heading).toContainText("connected", { timeout: BACK_MS });
  await expect(page.getByText("The link to this site is lost")).toBeHidden();
  await expect(row).toContainText("connected", { timeout: BACK_MS });
  await expect(atSite.getByRole("main")).toContainText("connected", { timeout: BACK_MS });
  await expect(async () => expect(await ageS(page.getByRole("row", { name: "turbine-1" }))).toBeLessThan(10)).toPass({ timeout: BACK_MS });
  for (const each of pages) expect(await each.evaluate(() => window.here)).toBe(true);
});
