// Names that would be markup: people, sites, boxes and devices may be called anything, and it is text on every page.

import { expect, test } from "./test.js";

const HOSTILE = `<img src=x onerror=alert(1)>`;
/** As `tests/profiles/hostile.toml` has it. */
const MODEL = "</script><b>Counter</b>";

/** Neither an element nor anything that it would do: that is seen elsewhere. @param {import("@playwright/test").Page} page */
async function hasOnlyText(page) {
  await expect(page.getByRole("main").getByText(HOSTILE).first()).toBeVisible();
  expect(await page.locator("img, b:text-is('Counter'), [onerror]").count()).toBe(0);
}

test("hostile names are text on every page", async ({ stage, visitor, faults }) => {
  const { cloud, people } = stage.told;
  const token = await stage.token("admin");
  const site = await stage.ask("POST", "/sites", {
    name: HOSTILE, region: HOSTILE, river_name: HOSTILE, latitude: 64, longitude: -149, capacity_kw: 25, timezone: "UTC", currency: "USD",
  }, token);
  const gateway = await stage.ask("POST", "/gateways", { site_id: site.id, name: HOSTILE }, token);
  const { panel } = await stage.order({ do: "box", code: gateway.enrollment_code, name: HOSTILE, profile: "hostile" });
  faults.allowOrigin(panel);
  const announced = async () => (await stage.ask("GET", `/devices?site_id=${site.id}`, undefined, token)).devices[0];
  // What it says itself comes with a later announcement.
  await expect.poll(async () => (await announced())?.manufacturer ?? "unknown", { timeout: 60_000 }).not.toBe("unknown");
  const device = await announced();
  expect([device.manufacturer, device.model]).toEqual([HOSTILE, MODEL]);
  await stage.ask("PUT", `/devices/${device.id}`, { device_name: HOSTILE }, token);
  const email = "hostile@example.org";
  await stage.ask("POST", "/users", { email, password: stage.told.password, first_name: HOSTILE, last_name: HOSTILE, role: "admin" }, token);
  people.hostile = email;

  const page = await visitor("hostile");
  await page.goto(cloud);
  await hasOnlyText(page);
  await page.getByRole("banner").getByText(HOSTILE).first().click();
  await expect(page.getByText(email)).toBeVisible();
  await page.goto(`/sites/${site.id}`);
  await expect(page.getByRole("row", { name: HOSTILE })).toContainText("Power");
  await expect(page.getByRole("heading", { name: "Gateways" })).toBeVisible();
  await hasOnlyText(page);
  await page.goto(`/devices/${device.id}`);
  await expect(page.getByText(MODEL).first()).toBeVisible();
  await expect(page.getByRole("figure")).toContainText("As a table");
  await hasOnlyText(page);
  await page.goto("/gateways");
  await hasOnlyText(page);
  await page.getByRole("row", { name: HOSTILE }).getByRole("button", { name: "Revoke" }).click();
  await expect(page.getByRole("dialog").getByText(HOSTILE)).toBeVisible();
  await page.goto(`/gateways?new=${site.id}`);
  await page.getByRole("textbox", { name: "Name" }).fill(HOSTILE);
  await page.getByRole("button", { name: "Create its code" }).click();
  await expect(page.getByRole("heading", { name: `${HOSTILE}: its code` })).toBeVisible();
  await hasOnlyText(page);

  // What an address says is text as well.
  faults.allow(/4\d\d \(.*\/api\/v1\/devices\//);
  await page.goto(`/devices/${encodeURIComponent(HOSTILE)}`);
  await expect(page.getByRole("heading", { level: 1, name: "No such device" })).toBeVisible();
  expect(await page.locator("img").count()).toBe(0);

  for (const javaScriptEnabled of [true, false]) {
    const atSite = await visitor(null, { baseURL: panel, javaScriptEnabled });
    await atSite.goto("/");
    await hasOnlyText(atSite);
    if (!javaScriptEnabled) continue;
    await atSite.goto("/devices");
    await hasOnlyText(atSite);
    await atSite.goto("/devices/counter-1");
    await hasOnlyText(atSite);
    await atSite.goto(`/devices/${encodeURIComponent(HOSTILE)}`);
    await hasOnlyText(atSite);
    for (const path of ["/buses", "/link"]) {
      await atSite.goto(path);
      await expect(atSite).toHaveTitle(new RegExp("<img src=x"));
      expect(await atSite.locator("img").count()).toBe(0);
    }
  }
});
