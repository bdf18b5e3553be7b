import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as format from "../kit/format.js";

/** @param {(input: any) => string} shown @param {[input: any, text: string][]} cases */
function check(shown, cases) {
  for (const [input, text] of cases) assert.equal(shown(input), text, JSON.stringify(input));
}

test("a number has the decimals of its metric, and fewer when it is large", () => {
  check(([metric, value]) => format.quantity(metric, value), [
    [["power_output_kw", 4.8123], "4.81\u00a0kW"], [["power_output_kw", 12345.678], "12,346\u00a0kW"],
    [["frequency_hz", 50], "50.00\u00a0Hz"], [["energy_kwh", 1234.56], "1,234.6\u00a0kWh"],
    [["vibration_level", 2.345], "2.35\u00a0mm/s"], [["water_flow_rate", 1250.004], "1,250.0\u00a0m³/s"],
    [["power_factor", 0.98], "0.98"], [["x_gate_opening", 7.1], "7.100"], [["x_gate_opening_percent", 7.12], "7.1\u00a0%"],
  ]);
});

test("a negative number has a minus, and what rounds to nothing has none", () => {
  check((value) => format.number(value, 2), [[-1.204, "−1.20"], [-0.001, "0.00"], [0, "0.00"], [999.999, "1,000.00"]]);
});

test("what is no number is a dash without a unit", () => {
  for (const value of [null, undefined, NaN, Infinity]) assert.equal(format.quantity("voltage_v", value), format.NOTHING);
});

test("a metric is named without its unit", () => {
  check(format.labelOf, [
    ["power_output_kw", "Power"], ["voltage_l1_v", "Voltage L1"], ["dc_power_kw", "DC power"], ["water_speed_mps", "Water speed"],
    ["power_factor", "Power factor"], ["x_gate_opening_percent", "Gate opening"], ["energy_import_kwh", "Energy import"],
  ]);
});

test("a duration is told in the units that matter", () => {
  check(format.duration, [
    [0, "0 s"], [12_400, "12 s"], [99_000, "99 s"], [180_000, "3 min"], [7_500_000, "2 h 5 min"], [7_200_000, "2 h"],
    [36_000_000, "10 h"], [400_000_000, "5 d"], [-5, "0 s"],
  ]);
});

test("an age says now, ago or never", () => {
  check(format.age, [[400, "now"], [12_000, "12 s ago"], [null, "never"]]);
});

test("bytes are counted in binary units", () => {
  check(format.bytes, [[0, "0 B"], [1_023, "1,023 B"], [1_536, "1.5 KiB"], [13_002_342, "12.4 MiB"], [null, format.NOTHING]]);
});

test("a time is told in the site's zone, over a change of its clock too", () => {
  const zone = "America/Anchorage";
  check(([time, shape]) => format.at(time, zone, shape), [
    [["2026-11-24T09:12:33.500Z", "full"], "24 Nov 2026, 00:12:33"], [["2026-11-24T09:12:33Z", "minute"], "00:12"],
    [["2026-07-01T07:59:59Z", "date"], "30 Jun 2026"], [["2026-07-01T08:00:00Z", "day"], "Wed 1 Jul"],
    [["nonsense", "full"], format.NOTHING], [[null, "full"], format.NOTHING],
  ]);
  check((time) => format.zoneName(time, zone), [["2026-07-01T00:00:00Z", "GMT-8"], ["2026-12-01T00:00:00Z", "GMT-9"]]);
});

test("a share is told as per cent, and things are counted", () => {
  assert.equal(format.percent(0.974), "97\u00a0%");
  check((count) => format.counted(count, "reading"), [[1, "1 reading"], [0, "0 readings"], [1_312, "1,312 readings"]]);
});

test("a word that is not known yet is shown all the same", () => {
  assert.equal(format.qualityWord("half_true"), "half true");
  assert.equal(format.gapReason("eaten_by_fish"), "eaten by fish");
  assert.deepEqual(format.linkState("half_open"), { word: "half open", kind: "quiet", meaning: "" });
});

test("what the gateway writes into its page reads the same", () => {
  const { quantities, ages } = JSON.parse(readFileSync(new URL("words.json", import.meta.url), "utf8"));
  for (const [metric, value, ...told] of quantities) {
    assert.deepEqual([format.labelOf(metric), format.figure(metric, value), format.unitOf(metric)], told, `${metric} ${value}`);
  }
  for (const [seconds, told] of ages) assert.equal(format.age(seconds * 1_000), told);
});
