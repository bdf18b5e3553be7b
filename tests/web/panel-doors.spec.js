// What a technician changes through the panel: refused readings, the clock, and the password that it takes.

import { expect, test } from "./test.js";

/** @typedef {import("@playwright/test").Page} Page */

/** Types the password where it is asked for. @param {Page} page @param {string} password */
async function signIn(page, password) {
  const dialog = page.getByRole("dialog", { name: "Sign in" });
  await dialog.getByLabel("Password").fill(password);
  await dialog.getByRole("button", { name: "Sign in" }).click();
}

test("refused readings are sent again, come back, and are discarded, by whoever has the password", async ({ stage, visitor, faults }) => {
  faults.allow(/401 \(Unauthorized\)/);
  const { panel, panel_password } = stage.told;
  const page = await visitor(null, { baseURL: panel });
  await page.goto("/dead-letters");
  await expect(page.getByText("No refused readings")).toBeVisible();
  await stage.order({ do: "refuse", count: 3 });

  await page.goto("/link");
  await page.getByRole("link", { name: "Look at the refused readings" }).click();
  const group = page.locator(".card").filter({ has: page.getByRole("heading", { name: "turbine-1: 3 readings" }) });
  await expect(group).toContainText("The cloud has other values under the same device and time");
  await group.getByRole("button", { name: "Send again" }).click();
  const ask = page.getByRole("dialog", { name: "Send 3 readings again?" });
  await ask.getByRole("button", { name: "Send again" }).click();
  await signIn(page, "not the password");
  await expect(page.getByRole("dialog", { name: "Sign in" }).getByText("Wrong password")).toBeVisible();
  await signIn(page, panel_password);
  await expect(page.getByText("3 readings will be sent again")).toBeVisible();
  await expect(ask).toBeHidden();
  // The cloud refuses them again.
  await expect(group).toBeVisible();

  await group.getByRole("button", { name: "Discard" }).click();
  const discard = page.getByRole("dialog", { name: "Discard 3 readings?" });
  await expect(discard).toContainText("This cannot be undone");
  await page.keyboard.press("Escape");
  await expect(group.getByRole("button", { name: "Discard" })).toBeFocused();
  await page.keyboard.press("Enter");
  await discard.getByRole("button", { name: "Discard for good" }).click();
  await expect(page.getByText("No refused readings")).toBeVisible();

  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("button", { name: "Sign out" })).toBeHidden();
  const answer = await page.request.post("/api/dead-letters/discard", { data: {}, headers: { Origin: panel } });
  expect(answer.status()).toBe(401);
});

test("the time of a phone is shown beside the gateway's before it is taken", async ({ stage, visitor, faults }) => {
  faults.allow(/40[19] \((Unauthorized|Conflict)\)/);
  const page = await visitor(null, { baseURL: stage.told.panel });
  await page.goto("/");
  await page.getByRole("link", { name: "Clock", exact: true }).click();
  await expect(page.getByText("This device and the gateway agree.")).toBeVisible();
  await page.getByRole("button", { name: "Take its time" }).click();
  const dialog = page.getByRole("dialog", { name: "Take the time of this device?" });
  await expect(dialog).toContainText("This device and the gateway agree.");
  await dialog.getByRole("button", { name: "Take this time" }).click();
  await signIn(page, stage.told.panel_password);
  await expect(dialog).toBeHidden();
  await page.reload();
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();

  // A phone that is five days ahead is told so, and not believed.
  await page.clock.setFixedTime(Date.now() + 5 * 86_400_000);
  await page.reload();
  await expect(page.getByText("This device is 5 d ahead of the gateway.")).toBeVisible();
  await page.getByRole("button", { name: "Take its time" }).click();
  await dialog.getByRole("button", { name: "Take this time" }).click();
  await expect(dialog.getByText(/not believed/)).toBeVisible();
});

test("a page of another origin changes nothing, and a name that is not ours shows nothing", async ({ stage, visitor, origins, faults }) => {
  faults.allow(/CORS|Failed to load resource|ERR_FAILED/);
  faults.allowOrigin(origins.listed);
  faults.allow(/outside/);
  const page = await visitor(null);
  await page.goto(origins.listed);
  const { panel, panel_password } = stage.told;
  const read = await page.evaluate(async ([panel, password]) => {
    const body = JSON.stringify({ password });
    const tries = [["text/plain", "no-cors"], ["text/plain", "cors"], ["application/json", "cors"]].map(async ([type, mode]) => {
      const answer = await fetch(`${panel}/api/sign-in`, { method: "POST", body, mode: /** @type {RequestMode} */ (mode), credentials: "include", headers: { "Content-Type": type } });
      return answer.type === "opaque" ? "unseen" : answer.status;
    });
    return (await Promise.allSettled(tries)).map((tried) => (tried.status === "fulfilled" ? tried.value : "blocked"));
  }, [panel, panel_password]);
  expect(read).toEqual(["unseen", "blocked", "blocked"]);
  expect(await page.context().cookies(panel)).toEqual([]);
  const rebound = await page.request.get(`${panel}/api/site`, { headers: { Host: "evil.example" } });
  expect(rebound.status()).toBe(403);
});
