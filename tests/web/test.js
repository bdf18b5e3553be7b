// What every test of the pages stands on: a stage, people who visit it, and eyes on everything that a browser does
// besides: an outside request, an error on the console, a broken policy is a failure wherever it happens.

import { createServer } from "node:http";
import { test as base, expect } from "@playwright/test";
import { Stage } from "./stage.js";

export { expect };

/** The shortest life of an access token, so that many end while the tests run. */
const TOKEN_LIVES = "1m";

/**
 * @typedef {import("@playwright/test").BrowserContextOptions} Options
 * @typedef {import("./stage.js").Role} Role
 */

export const test = base.extend({
  /** Two other origins, both an empty page: the cloud lists the first one only. */
  origins: [async ({}, use) => {
    const server = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end("<!doctype html><title>Elsewhere</title><link rel=icon href=data:>"));
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    await use({ listed: `http://127.0.0.1:${port}`, unlisted: `http://localhost:${port}` });
    server.close();
  }, { scope: "worker" }],

  stage: [async ({ origins }, use) => {
    const stage = await Stage.set([`JWT_EXPIRES_IN=${TOKEN_LIVES}`, `CORS_ORIGIN=${origins.listed}`]);
    await use(stage);
    await stage.end();
  }, { scope: "worker", timeout: 60_000 }],

  /** What was seen that must not be. */
  faults: async ({ stage }, use) => {
    const faults = new Faults([stage.told.cloud, stage.told.panel]);
    await use(faults);
    expect(faults.found).toEqual([]);
  },

  /** Opens a browser of its own for somebody, signed in or nobody; a page without an address yet. */
  visitor: async ({ stage, browser, faults }, use) => {
    /** @type {import("@playwright/test").BrowserContext[]} */
    const contexts = [];
    await use(async (/** @type {Role|null} */ role, /** @type {Options} */ options = {}) => {
      const context = await browser.newContext({ baseURL: stage.told.cloud, ...options });
      contexts.push(context);
      faults.watch(context);
      if (role !== null) {
        const { people, password, cloud } = stage.told;
        const answer = await context.request.post(`${cloud}/api/v1/auth/login`, { data: { email: people[role], password } });
        expect(answer.status()).toBe(200);
      }
      return context.newPage();
    });
    await Promise.all(contexts.map((context) => context.close()));
  },
});

/**
 * Signs in as a person does.
 * @param {import("@playwright/test").Page} page
 * @param {string} email
 * @param {string} password
 */
export async function signIn(page, email, password) {
  await page.getByRole("textbox", { name: "E-mail" }).fill(email);
  await page.getByRole("textbox", { name: "Password" }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

class Faults {
  /** @type {string[]} */ found = [];
  /** Who leaves a page at once leaves its socket while that is being made. @type {RegExp[]} */
  #allowed = [/WebSocket is closed before the connection is established/];
  #origins;

  /** @param {string[]} origins where pages may go */
  constructor(origins) {
    this.#origins = origins;
  }

  /** What a test brings about itself. @param {RegExp} pattern */
  allow(pattern) {
    this.#allowed.push(pattern);
  }

  /** A further place where pages may go. @param {string} origin */
  allowOrigin(origin) {
    this.#origins.push(origin);
  }

  /** @param {string} fault */
  #note(fault) {
    if (!this.#allowed.some((pattern) => pattern.test(fault))) this.found.push(fault);
  }

  /** @param {string} url @param {string} from */
  #went(url, from) {
    const { protocol, origin } = new URL(url.replace(/^ws/, "http"));
    if (!["data:", "blob:", "about:"].includes(protocol) && !this.#origins.includes(origin)) this.#note(`outside: ${url} from ${from}`);
  }

  /** @param {import("@playwright/test").BrowserContext} context */
  watch(context) {
    context.on("request", (request) => this.#went(request.url(), request.serviceWorker() === null ? request.frame().url() : "a service worker"));
    context.on("weberror", (error) => this.#note(`error: ${error.error().stack}`));
    context.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.#note(`${message.type()} on the console: ${message.text()} (${message.location().url})`);
    });
    context.on("page", (page) => page.on("websocket", (socket) => this.#went(socket.url(), page.url())));
    context.on("dialog", (dialog) => {
      this.#note(`a dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
  }
}
