// A new site and its gateway, from the form to the first reading.

import { expect, test } from "./test.js";

test("an admin adds a site and a gateway, and watches its first reading arrive", async ({ stage, visitor }) => {
  const page = await visitor("admin");
  await page.goto("/sites/new");
  await page.getByRole("button", { name: "Add the site" }).click();
  await expect(page.getByRole("textbox", { name: "Name" })).toBeFocused();
  for (const [label, text] of [["Name", "Yukon at Eagle"], ["River", "Yukon"], ["Region", "Alaska"], ["Latitude", "64.79"], ["Longitude", "-141,2"], ["Rated power", "25"]]) {
    await page.getByRole("textbox", { name: label }).fill(text);
  }
  await page.getByRole("button", { name: "Add the site" }).click();
  await expect(page.getByRole("heading", { level: 2, name: "Add a gateway" })).toBeVisible();
  await expect(page.getByRole("combobox", { name: "Site" })).toContainText("Yukon at Eagle");
  await page.getByRole("textbox", { name: "Name" }).fill("Boat house");
  await page.getByRole("button", { name: "Create its code" }).click();
  const code = await page.getByLabel("Enrollment code", { exact: true }).innerText();
  await expect(page.getByRole("img", { name: `Enrollment code ${code} as a QR code` })).toBeVisible();
  const steps = page.getByRole("list", { name: "How far it is" }).getByRole("listitem");
  await expect(steps).toContainText([/waiting/, /waiting/, /waiting/]);

  await stage.order({ do: "box", code, name: "Yukon", profile: "counter" });
  await expect(steps).toContainText([/done/, /done.*counter-1/, /done.*counter-1, power/], { timeout: 30_000 });
  await page.getByRole("link", { name: "See Yukon at Eagle" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Yukon at Eagle" })).toBeVisible();
  await expect(page.getByRole("row", { name: "counter-1" })).toContainText("Power");
});

test("an admin replaces a gateway by a code, and the dialog says what becomes of the old box", async ({ visitor }) => {
  const page = await visitor("admin");
  await page.goto("/gateways");
  const replace = page.getByRole("button", { name: /^Replace / }).first();
  const name = (await replace.getAttribute("aria-label"))?.replace("Replace ", "") ?? "";
  await replace.click();
  const dialog = page.getByRole("dialog", { name: `A new box or card for ${name}?` });
  await expect(dialog).toContainText("shown as a gap");
  await dialog.getByRole("button", { name: "Create its code" }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByRole("heading", { level: 2, name: `${name}: its code` })).toBeVisible();
  await expect(page.getByLabel("Enrollment code", { exact: true })).toHaveText(/^[0-9A-Z]{4}(-[0-9A-Z]{4}){3}$/);
  // The box before it counts for nothing here.
  await expect(page.getByRole("list", { name: "How far it is" }).getByRole("listitem")).toContainText([/waiting/, /waiting/, /waiting/]);
});
