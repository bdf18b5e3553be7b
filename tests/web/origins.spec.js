// Pages of other origins: what the cloud lists may sign in and listen, what it does not may nothing.

import { expect, test } from "./test.js";

/** Runs in the page: signs in. @param {{cloud: string, email: string, password: string}} who */
async function login({ cloud, email, password }) {
  const answer = await fetch(`${cloud}/api/v1/auth/login`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ email, password }) });
  return (await answer.json()).access_token;
}

/** Runs in the page: the first frame of the fleet's room, or how the socket ended. @param {{cloud: string, token: string}} with_ */
const enter = ({ cloud, token }) => new Promise((resolve) => {
  const socket = new WebSocket(`${cloud.replace("http", "ws")}/ws/fleet`, ["riverwatts", `bearer.${token}`]);
  socket.onmessage = ({ data }) => {
    socket.close();
    resolve(JSON.parse(data).type);
  };
  socket.onclose = ({ code }) => resolve(code);
});

test("a page of a listed origin signs in, asks and opens the socket", async ({ stage, origins, visitor, faults }) => {
  faults.allowOrigin(origins.listed);
  const { cloud, people, password, site } = stage.told;
  const page = await visitor(null);
  await page.goto(origins.listed);
  const token = await page.evaluate(login, { cloud, email: people.viewer, password });
  const names = await page.evaluate(async ({ cloud, token }) => {
    const answer = await fetch(`${cloud}/api/v1/sites`, { headers: { Authorization: `Bearer ${token}` } });
    return (await answer.json()).sites.map(({ name }) => name);
  }, { cloud, token });
  expect(names).toEqual([site.name]);
  expect(await page.evaluate(enter, { cloud, token })).toBe("snapshot");
});

test("a page of an origin that is not listed can neither sign in nor open the socket", async ({ stage, origins, visitor, faults }) => {
  faults.allowOrigin(origins.unlisted);
  faults.allow(/blocked by CORS policy|net::ERR_FAILED|WebSocket connection to .* failed: .*403/);
  const { cloud, people, password } = stage.told;
  const page = await visitor(null);
  await page.goto(origins.unlisted);
  await expect(page.evaluate(login, { cloud, email: people.viewer, password })).rejects.toThrow("Failed to fetch");
  const token = await stage.token("viewer");
  expect(await page.evaluate(enter, { cloud, token })).toBe(1_006);
});
