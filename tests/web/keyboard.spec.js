// Everything by keyboard alone, with the focus in sight; and addresses that can be kept and sent.

import { expect, signIn, test } from "./test.js";

/** @typedef {import("@playwright/test").Page} Page */
/** @typedef {import("@playwright/test").Locator} Locator */

const STOPS_MAX = 60;

/** Moves the focus on until it is there; at every stop it can be seen. @param {Page} page @param {Locator} wanted */
async function tabTo(page, wanted) {
  await wanted.waitFor();
  for (let stop = 0; stop < STOPS_MAX; stop++) {
    await page.keyboard.press("Tab");
    const unseen = await page.evaluate(() => {
      const at = document.activeElement;
      if (at === null || at === document.body) return null;
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(at);
      return outlineStyle === "none" && boxShadow === "none" || outlineStyle !== "none" && outlineWidth === "0px" ? at.outerHTML : null;
    });
    expect(unseen, "where the focus is, is to be seen").toBeNull();
    if (await wanted.evaluate((element) => element === document.activeElement)) return;
  }
  throw new Error(`${wanted} is not reached by ${STOPS_MAX} presses of the tabulator`);
}

/** The page of this heading is there, and the focus in it. @param {Page} page @param {string} name */
async function arrived(page, name) {
  await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
  // On the heading, or on what is around it while the name was not known yet.
  await expect(page.locator("h1:focus, main:focus")).toHaveCount(1);
}

test("from the sign-in to a zoomed chart, a new theme and back out by keyboard", async ({ stage, visitor, faults }) => {
  faults.allow(/401 \(Unauthorized\).*\/auth\/login/);
  const { people, password, site } = stage.told;
  const page = await visitor(null);
  const { keyboard } = page;
  await page.goto("/");
  await tabTo(page, page.getByRole("textbox", { name: "E-mail" }));
  await keyboard.type(people.viewer);
  await tabTo(page, page.getByRole("textbox", { name: "Password" }));
  await keyboard.type("not the password");
  await keyboard.press("Enter");
  await expect(page.getByText("E-mail or password is wrong.")).toBeVisible();
  await tabTo(page, page.getByRole("textbox", { name: "Password" }));
  await keyboard.press("Control+a");
  await keyboard.type(password);
  await keyboard.press("Enter");

  await tabTo(page, page.getByRole("link", { name: site.name }));
  await keyboard.press("Enter");
  await arrived(page, site.name);
  await tabTo(page, page.getByRole("row", { name: "turbine-1" }).getByRole("link"));
  await keyboard.press("Enter");
  await arrived(page, "turbine-1");

  await tabTo(page, page.getByRole("button", { name: "1 h", exact: true }));
  await keyboard.press("Enter");
  await expect(page).toHaveURL(/range=1h/);
  await tabTo(page, page.getByRole("group", { name: /Arrow keys move/ }));
  await keyboard.press("+");
  await expect(page).toHaveURL(/from=.*to=/);
  await keyboard.press("0");
  await expect(page).toHaveURL(/range=1h/);

  const values = page.getByText("Values", { exact: true });
  await keyboard.press("Control+Home");
  await page.reload();
  await tabTo(page, page.getByRole("link", { name: "Skip to the content" }));
  await keyboard.press("Enter");
  await tabTo(page, values.locator("xpath=ancestor-or-self::summary"));
  await keyboard.press("Enter");
  await expect(page.getByRole("checkbox", { name: "Voltage", exact: true })).toBeVisible();
  await keyboard.press("Escape");
  await expect(page.getByRole("checkbox", { name: "Voltage", exact: true })).toBeHidden();

  const dark = page.getByRole("button", { name: "Use the night theme" });
  await tabTo(page, dark);
  await keyboard.press("Enter");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "night");
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "night");
  await tabTo(page, page.getByRole("banner").getByText("Ada", { exact: true }).locator("xpath=ancestor-or-self::summary"));
  await keyboard.press("Enter");
  await tabTo(page, page.getByRole("button", { name: "Sign out" }));
  await keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
});

test("a dialog holds the focus and gives it back", async ({ stage, visitor }) => {
  const page = await visitor("admin");
  await page.goto("/gateways");
  const revoke = page.getByRole("row", { name: stage.told.site.name }).getByRole("button", { name: /Revoke/ });
  await tabTo(page, revoke);
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await expect(dialog).toBeVisible();
  for (let stop = 0; stop < 6; stop++) {
    await page.keyboard.press("Tab");
    expect(await dialog.evaluate((element) => element.contains(document.activeElement) || document.activeElement === document.body)).toBe(true);
  }
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(revoke).toBeFocused();
});

test("the panel's pages are gone through by keyboard", async ({ stage, visitor }) => {
  const page = await visitor(null, { baseURL: stage.told.panel });
  await page.goto("/");
  for (const [link, heading] of [["Devices", "Devices"], ["turbine-1", "turbine-1"], ["Buses", "Buses"], ["Cloud link", "Cloud link"], ["Site", "Demo River"], ["Clock", "Clock"]]) {
    await tabTo(page, page.getByRole("link", { name: link, exact: true }).first());
    await page.keyboard.press("Enter");
    await arrived(page, heading);
  }
});

test("an address leads to the same view, also after a sign-in, and back goes back", async ({ stage, visitor }) => {
  const { people, password, site, devices } = stage.told;
  const page = await visitor(null);
  const address = `/devices/${devices["turbine-1"]}?range=7d&metric=power_output_kw,voltage_v`;
  await page.goto(address);
  await signIn(page, people.viewer, password);
  const figure = page.getByRole("figure", { name: "Power, Voltage of turbine-1" });
  await expect(figure).toBeVisible();
  await expect(page.getByRole("button", { name: "7 d" })).toHaveAttribute("aria-pressed", "true");
  await expect(page).toHaveURL(address);
  await page.getByRole("link", { name: site.name }).first().click();
  await expect(page.getByRole("heading", { level: 1, name: site.name })).toBeVisible();
  await page.goBack();
  await expect(figure).toBeVisible();
  await expect(page.getByRole("button", { name: "7 d" })).toHaveAttribute("aria-pressed", "true");

  const other = await page.context().newPage();
  for (const [path, heading] of [[`/sites/${site.id}`, site.name], [`/devices/${devices["meter-1"]}`, "meter-1"], ["/gateways", "Gateways"], ["/", "Fleet"]]) {
    await other.goto(path);
    await expect(other.getByRole("heading", { level: 1, name: heading })).toBeVisible();
    await expect(other).toHaveTitle(new RegExp(heading));
  }
});
