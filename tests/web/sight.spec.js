// Each role sees its own only, and what it may not do is not offered.

import { expect, test } from "./test.js";

for (const role of /** @type {const} */ (["admin", "technician", "viewer", "customer"])) {
  test(`the ${role} sees what belongs to the ${role}`, async ({ stage, visitor, faults }) => {
    const { site, other, devices } = stage.told;
    const admin = role === "admin";
    const page = await visitor(role);
    await page.goto("/");
    await expect(page.getByRole("row", { name: site.name })).toBeVisible();
    await expect(page.getByRole("row", { name: other.name })).toHaveCount(admin ? 1 : 0);
    await expect(page.getByRole("link", { name: "Gateways" })).toHaveCount(role === "customer" ? 0 : 1);

    await page.goto(`/devices/${devices["turbine-1"]}`);
    await expect(page.getByRole("heading", { level: 1, name: "turbine-1" })).toBeVisible();
    await page.goto(`/sites/${site.id}`);
    await expect(page.getByRole("row", { name: "turbine-1" })).toContainText("Power");

    if (!admin) faults.allow(/404 \(Not Found\).*\/api\/v1\/sites/);
    await page.goto(`/sites/${other.id}`);
    await expect(page.getByRole("heading", { level: 1, name: admin ? other.name : "No such site" })).toBeVisible();
    if (role !== "customer") {
      await page.goto("/gateways");
      await expect(page.getByRole("row", { name: site.name })).toBeVisible();
      await expect(page.getByRole("button", { name: "Add a gateway" })).toHaveCount(admin ? 1 : 0);
      await expect(page.getByRole("row", { name: site.name }).getByRole("button", { name: /Revoke/ })).toHaveCount(admin ? 1 : 0);
    }
    await page.goto("/sites/new");
    await expect(page.getByRole("heading", { level: 1, name: admin ? "Add a site" : "Not permitted" })).toBeVisible();
  });
}
