// The site that the tests look at: the real programs, set by `riverwatts-stage`, which takes orders.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const TARGET = process.env.CARGO_TARGET_DIR ?? new URL("../../target", import.meta.url).pathname;
const PROGRAM = `${TARGET}/debug/riverwatts-stage`;

/**
 * @typedef {"admin"|"technician"|"viewer"|"customer"} Role
 * @typedef {{cloud: string, panel: string, people: Record<Role, string>, password: string, panel_password: string, site: {id: string, name: string},
 *   other: {id: string, name: string}, devices: Record<string, string>}} Told
 */

export class Stage {
  /** @type {Told} */ told;
  #program;
  #lines;

  /** @param {string[]} settings of the cloud, as `NAME=VALUE` */
  static async set(settings) {
    const stage = new Stage(spawn(PROGRAM, settings, { stdio: ["pipe", "pipe", "inherit"] }));
    stage.told = await stage.#hear();
    return stage;
  }

  /** @param {import("node:child_process").ChildProcess} program */
  constructor(program) {
    this.#program = program;
    this.#lines = createInterface(program.stdout)[Symbol.asyncIterator]();
  }

  async #hear() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the stage has ended; its last words stand above");
    return JSON.parse(value);
  }

  /** @param {object} order as `riverwatts-stage` lists them */
  async order(order) {
    this.#program.stdin.write(`${JSON.stringify(order)}\n`);
    return this.#hear();
  }

  async end() {
    this.#program.stdin.end();
    await this.#lines.return();
  }

  /**
   * The cloud's API, by whoever has this token.
   * @param {string} method
   * @param {string} path below `/api/v1`
   * @param {object} [body]
   * @param {string} [token]
   */
  async ask(method, path, body, token) {
    const headers = { ...(body && { "Content-Type": "application/json" }), ...(token && { Authorization: `Bearer ${token}` }) };
    const answer = await fetch(`${this.told.cloud}/api/v1${path}`, { method, headers, body: JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === "" ? null : JSON.parse(text);
  }

  /** An access token of somebody. @param {Role} role */
  async token(role) {
    const { people, password } = this.told;
    return (await this.ask("POST", "/auth/login", { email: people[role], password })).access_token;
  }
}
