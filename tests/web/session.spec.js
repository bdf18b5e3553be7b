// A session over time: tokens end in mid-work, tabs renew them at the same time, a sign-out ends it everywhere.

import { expect, signIn, test } from "./test.js";

/** A token lives a minute; the page renews it before. */
const RENEWED_MS = 90_000;

/** How often a page has asked for new tokens, and was given some. @param {import("@playwright/test").Page} page */
function renewals(page) {
  const seen = { good: 0, bad: 0 };
  page.on("response", (response) => {
    if (response.url().endsWith("/auth/refresh")) seen[response.ok() ? "good" : "bad"] += 1;
  });
  return seen;
}

test("work goes on over the end of a token, and so do the live values", async ({ stage, visitor }) => {
  const { site } = stage.told;
  const page = await visitor("viewer");
  const renewed = renewals(page);
  let sockets = 0;
  page.on("websocket", () => (sockets += 1));
  await page.goto(`/sites/${site.id}`);
  await expect(page.getByText("live", { exact: true })).toBeVisible();
  const first = Date.now();
  await expect.poll(() => renewed.good, { timeout: RENEWED_MS }).toBeGreaterThanOrEqual(2);
  // The first token is over now.
  await expect.poll(() => Date.now() - first, { timeout: RENEWED_MS }).toBeGreaterThan(62_000);
  const turbine = page.getByRole("row", { name: "turbine-1" });
  const before = await turbine.innerText();
  await expect(turbine).not.toHaveText(before);
  await expect(page.getByText("live", { exact: true })).toBeVisible();
  expect(sockets, "the sign-in is renewed in place").toBe(1);
  await page.getByRole("link", { name: "turbine-1" }).first().click();
  await expect(page.getByRole("heading", { level: 1, name: "turbine-1" })).toBeVisible();
  await expect(page.getByRole("figure")).toContainText("Power");
  expect(renewed.bad).toBe(0);
});

test("a token that is refused in mid-work is renewed without a word", async ({ stage, visitor, faults }) => {
  faults.allow(/401 \(Unauthorized\).*\/api\/v1\/sites/);
  const { site } = stage.told;
  const page = await visitor("viewer");
  await page.goto("/gateways");
  await expect(page.getByRole("row", { name: site.name })).toBeVisible();
  const renewed = renewals(page);
  let refused = 0;
  // As if the token had ended on its way: the server sees one that it does not know.
  await page.route(`**/api/v1/sites/${site.id}`, async (route) => {
    refused += 1;
    await route.continue({ headers: { ...route.request().headers(), authorization: "Bearer ended" } });
  }, { times: 1 });
  await page.getByRole("link", { name: site.name }).click();
  await expect(page.getByRole("heading", { level: 1, name: site.name })).toBeVisible();
  expect(refused).toBe(1);
  expect(renewed.good).toBeGreaterThanOrEqual(1);
});

test("tabs that renew at the same time stay signed in", async ({ stage, visitor }) => {
  const { site } = stage.told;
  const one = await visitor("viewer");
  const tabs = [one, ...await Promise.all([1, 2, 3].map(() => one.context().newPage()))];
  const renewed = tabs.map(renewals);
  for (let round = 0; round < 3; round++) {
    await Promise.all(tabs.map((tab) => tab.goto(`/sites/${site.id}`)));
    for (const tab of tabs) await expect(tab.getByText("live", { exact: true })).toBeVisible();
  }
  expect(renewed.map(({ bad }) => bad)).toEqual([0, 0, 0, 0]);
  for (const { good } of renewed) expect(good).toBeGreaterThanOrEqual(3);
});

test("a sign-out in one tab ends the session in all", async ({ stage, visitor }) => {
  const { people, password, site } = stage.told;
  const page = await visitor(null);
  await page.goto(`/sites/${site.id}`);
  await signIn(page, people.viewer, password);
  await expect(page.getByRole("heading", { level: 1, name: site.name })).toBeVisible();
  const other = await page.context().newPage();
  await other.goto("/");
  await expect(other.getByRole("row", { name: site.name })).toBeVisible();
  await page.getByRole("banner").getByText("Ada", { exact: true }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  for (const tab of [page, other]) await expect(tab.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await expect(other.getByText("You signed out in another tab.")).toBeVisible();
  await other.goto("/");
  await expect(other.getByRole("heading", { name: "Sign in" })).toBeVisible();
});
