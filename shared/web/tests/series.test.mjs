import assert from "node:assert/strict";
import { test } from "node:test";
import { csv, fromReadings, joined, latestOf, shape, summary, thinned, within } from "../kit/series.js";
import { covers, gapAt, moved, roomFor, timeLabels, zoomed } from "../kit/span.js";
import { sparkPath } from "../kit/spark.js";
import { sorted } from "../kit/table.js";

const MINUTE = 60_000;
const time = (/** @type {number} */ minute) => new Date(minute * MINUTE).toISOString();
const bucket = (/** @type {number} */ minute, /** @type {number|null} */ mean, metric = "voltage_v") =>
  ({ metric, start: time(minute), end: time(minute + 2), mean, min: mean === null ? null : mean - 1, max: mean === null ? null : mean + 1 });

test("a value stands in the middle of its window", () => {
  const series = shape([bucket(2, 5), bucket(0, 4)], ["voltage_v"]);
  assert.deepEqual(series.times, [1 * MINUTE, 3 * MINUTE]);
  assert.deepEqual(series.columns.voltage_v, { mean: [4, 5], min: [3, 4], max: [5, 6] });
});

test("an empty window is a hole, and another metric's window is none", () => {
  const series = shape([bucket(0, 4), bucket(2, null), bucket(1, 7, "current_a")], ["voltage_v", "current_a"]);
  assert.deepEqual(series.columns.voltage_v.mean, [4, undefined, null]);
  assert.deepEqual(series.columns.current_a.mean, [undefined, 7, undefined]);
});

test("a gap between two values breaks every line", () => {
  const gap = { from: time(2), to: time(8), reason: "unclean_stop" };
  const series = shape([bucket(0, 4), bucket(8, 5)], ["voltage_v"], [gap]);
  assert.deepEqual(series.times, [1 * MINUTE, 5 * MINUTE, 9 * MINUTE]);
  assert.deepEqual(series.columns.voltage_v.mean, [4, null, 5]);
});

test("a gap that empty windows show already, or that lies outside, adds nothing", () => {
  const filled = shape([bucket(0, 4), bucket(3, null), bucket(8, 5)], ["voltage_v"], [{ from: time(2), to: time(8), reason: "clock" }]);
  const outside = shape([bucket(0, 4), bucket(2, 5)], ["voltage_v"], [{ from: time(20), to: time(30), reason: "clock" }]);
  assert.deepEqual([filled.times.length, outside.times.length], [3, 2]);
});

test("readings far apart have a hole between them, and doubtful values are holes", () => {
  const readings = [
    { timestamp: time(10), voltage_v: 232, quality: { voltage_v: "stuck" } }, { timestamp: time(0), voltage_v: 230, quality: {} },
    { timestamp: time(1), voltage_v: null, extra: { rotor_rpm: 5 }, quality: { voltage_v: "sentinel" } },
  ];
  const series = shape(fromReadings(readings, ["voltage_v", "rotor_rpm"], 3 * MINUTE), ["voltage_v", "rotor_rpm"]);
  assert.deepEqual(series.columns.voltage_v.mean, [230, null, null, null]);
  assert.deepEqual(series.columns.rotor_rpm.mean, [null, 5, null, null]);
  assert.equal(series.times[2], 5.5 * MINUTE);
});

test("live values follow the last window that has some, and none comes twice", () => {
  const tail = fromReadings([{ timestamp: time(1), voltage_v: 9 }, { timestamp: time(4), voltage_v: 10 }], ["voltage_v"], 60 * MINUTE);
  const means = joined([bucket(0, 4), bucket(2, null)], tail, 3 * MINUTE).map(({ mean }) => mean);
  assert.deepEqual(means, [4, 10]);
  assert.equal(joined([bucket(0, 4), bucket(2, null)], [], 3 * MINUTE).length, 2);
});

test("a window that is still open ends where the live values begin", () => {
  const tail = fromReadings([{ timestamp: time(1), voltage_v: 9 }, { timestamp: time(4), voltage_v: 10 }], ["voltage_v"], 60 * MINUTE);
  const spans = (/** @type {any[]} */ buckets, at = tail) => joined(buckets, at, 1.5 * MINUTE).map(({ start, end, mean }) => [start, end, mean]);
  assert.deepEqual(spans([bucket(-2, 3), bucket(0, 4), bucket(2, null)]),
    [[time(-2), time(0), 3], [time(0), time(1), 4], [time(1), time(1), 9], [time(4), time(4), 10]]);
  assert.deepEqual(spans([bucket(1, 4)]), [[time(1), time(1), 9], [time(4), time(4), 10]], "nothing was before the live values");
  assert.deepEqual(spans([bucket(0, 4)], tail.slice(1)), [[time(0), time(2), 4], [time(4), time(4), 10]]);
  assert.deepEqual(spans([bucket(0, 4), bucket(2, null)], []), [[time(0), time(1.5), 4], [time(2), time(4), null]]);
});

test("a summary has the bands' extremes and the last value, of what is in view", () => {
  const series = shape([bucket(0, 4), bucket(2, 9), bucket(4, 6), bucket(6, null)], ["voltage_v"]);
  assert.deepEqual(summary(series, "voltage_v"), { low: 3, high: 10, last: 6 });
  assert.deepEqual(summary(within(series, 0, 2 * MINUTE), "voltage_v"), { low: 3, high: 5, last: 4 });
  assert.equal(summary(within(series, 6.5 * MINUTE, 9 * MINUTE), "voltage_v"), null);
});

test("a file has a line for every time and nothing for what is missing", () => {
  const series = shape([bucket(0, 4), bucket(2, null)], ["voltage_v"]);
  assert.equal(csv(series, ["voltage_v"]), "time,voltage_v_mean,voltage_v_min,voltage_v_max\r\n"
    + "1970-01-01T00:01:00.000Z,4,3,5\r\n1970-01-01T00:03:00.000Z,,,\r\n");
});

test("a table never has more rows than it may", () => {
  const series = { times: Array.from({ length: 1_001 }, (_, index) => index), columns: {} };
  assert.equal(thinned(series, 60).length, 59);
  assert.deepEqual(thinned({ times: [5, 6], columns: {} }, 60), [0, 1]);
});

test("only the answer to the last wish is told, and the request before it is aborted", async () => {
  /** @type {{range: string, signal: AbortSignal, answer: (text: string) => void}[]} */
  const asked = [];
  const got = [];
  const loader = latestOf({
    ask: (range, signal) => new Promise((answer) => asked.push({ range, signal, answer })),
    got: (answer) => got.push(answer), failed: (error) => got.push(error),
  });
  loader.want("first", 0);
  loader.want("second", 0);
  asked[1].answer("two");
  asked[0].answer("one");
  await new Promise(setImmediate);
  assert.deepEqual([got, asked[0].signal.aborted, asked[1].signal.aborted], [["two"], true, false]);
});

test("wishes that change at once are one request", (context) => {
  /** @type {Map<number, () => void>} */
  const waiting = new Map();
  context.mock.method(globalThis, "setTimeout", (/** @type {() => void} */ call) => {
    waiting.set(waiting.size, call);
    return waiting.size - 1;
  });
  context.mock.method(globalThis, "clearTimeout", (/** @type {number} */ timer) => waiting.delete(timer));
  const asked = [];
  const loader = latestOf({ ask: async (range) => asked.push(range), got: () => {}, failed: () => {} });
  for (const range of ["a", "b", "c"]) loader.want(range, 200);
  assert.deepEqual(asked, []);
  for (const call of waiting.values()) call();
  assert.deepEqual(asked, ["c"]);
});

test("a zoom keeps the time under the pointer where it is, and ends at ten seconds", () => {
  assert.deepEqual(zoomed({ from: 0, to: 100_000 }, 0.5, 25_000), { from: 12_500, to: 62_500 });
  const closest = zoomed({ from: 0, to: 12_000 }, 0.1);
  assert.equal(closest.to - closest.from, 10_000);
  assert.deepEqual(moved({ from: 0, to: 100 }, -0.25), { from: -25, to: 75 });
});

test("new data is asked for outside of what is there, or when much less is seen of it", () => {
  const asked = { from: 0, to: 1_000 };
  const cases = /** @type {const} */ ([[0, 1_000, true], [-200, 800, true], [-300, 700, false], [300, 1_300, false], [200, 500, false]]);
  for (const [from, to, covered] of cases) assert.equal(covers(asked, { from, to }), covered, `${from} ${to}`);
  assert.equal(covers(null, asked), false);
});

test("an axis has room where all values are equal, and none where there is none", () => {
  const cases = /** @type {const} */ ([[null, null, [null, null]], [0, 0, [0, 1]], [10, 10, [9, 11]], [-10, -10, [-11, -9]], [1, 2, undefined]]);
  for (const [low, high, room] of cases) assert.deepEqual(roomFor(low, high), room, `${low} ${high}`);
});

test("a time lies in the gap around it, its ends included", () => {
  const gaps = [{ from: time(0), to: time(2), reason: "clock" }, { from: time(5), to: time(6), reason: "unclean_stop" }];
  const reasons = [0, 2, 3, 5.5, 7].map((minute) => gapAt(gaps, minute * MINUTE)?.reason);
  assert.deepEqual(reasons, ["clock", "clock", undefined, "unclean_stop", undefined]);
});

test("the day stands on the time axis where it changes in the site's zone", () => {
  const hour = 60 * MINUTE;
  const start = Date.parse("2026-11-24T05:00:00Z");
  assert.deepEqual(timeLabels([start, start + 3 * hour, start + 4 * hour], hour, "America/Anchorage"), ["20:00\n23 Nov", "23:00", "00:00\n24 Nov"]);
});

test("a spark line breaks at a null and at a long silence, and shows what stands alone", () => {
  const frame = { width: 104, height: 24, from: 0, to: 100, maxGapMs: 15 };
  const path = sparkPath([{ time: 0, value: 1 }, { time: 10, value: 2 }, { time: 20, value: null }, { time: 30, value: 2 }, { time: 60, value: 1 }], frame);
  assert.equal(path, "M2.0 22.0h0L12.0 2.0M32.0 2.0h0M62.0 22.0h0");
});

test("a table sorts as people count, with nothing at the end in both directions", () => {
  const rows = [{ name: "turbine-10", kw: null }, { name: "turbine-2", kw: 3 }, { name: "turbine-1", kw: 5 }];
  const columns = [{ key: "name", label: "", cell: () => null, sort: (row) => row.name }, { key: "kw", label: "", cell: () => null, sort: (row) => row.kw }];
  const names = (order) => sorted(rows, columns, order).map(({ name }) => name.slice(8)).join();
  assert.deepEqual(["name", "-name", "kw", "-kw", null].map(names), ["1,2,10", "10,2,1", "2,1,10", "1,2,10", "10,2,1"]);
});
