// Values as they are measured: live, growing old, stale; the link lost and back.

import { expect, test } from "./test.js";

test("somebody signs in and sees three different values within ten seconds", async ({ stage, visitor }) => {
  const { people, password, site } = stage.told;
  const page = await visitor(null);
  await page.goto("/");
  await page.getByLabel("E-mail").fill(people.viewer);
  await page.getByRole("textbox", { name: "Password" }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("link", { name: site.name }).click();
  await expect(page.getByRole("heading", { level: 1, name: site.name })).toBeVisible();
  const turbine = page.getByRole("row", { name: /turbine-1/ });
  const seen = new Set();
  await expect(async () => {
    const [, power] = /Power\s*([\d.]+)/.exec(await turbine.innerText()) ?? [];
    seen.add(power);
    expect(seen.size, [...seen].join()).toBeGreaterThanOrEqual(3);
  }).toPass({ timeout: 10_000, intervals: [100] });
});
