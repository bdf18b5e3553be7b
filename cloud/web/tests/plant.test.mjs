// What the site's diagram makes of devices and readings.

import assert from "node:assert/strict";
import { test } from "node:test";
import { kindOf, leadingOf, metricsOf, partOf, plantOf, staleAfterS, sumOf, withNewer } from "../plant.js";

const NOW = Date.parse("2026-11-24T10:00:00Z");
const device = (id, device_type, metadata = {}, interval_s = 10) => ({ id, device_name: id, device_type, metadata, interval_s, model: "", manufacturer: "" });
const turbine = device("turbine-1", "turbine");
const battery = device("battery-1", "battery");
const radar = device("radar-1", "sensor", { kind: "radar" });
const meter = (measures) => device("meter-1", "sensor", measures === undefined ? { kind: "meter" } : { kind: "meter", measures });
const reading = (device_id, values, { agoS = 1, quality = {}, extra = {} } = {}) => ({ device_id, timestamp: new Date(NOW - agoS * 1_000).toISOString(), ...values, extra, quality });
const power = (device_id, power_output_kw, more) => reading(device_id, { power_output_kw }, more);
const plant = (devices, readings) => plantOf(devices, new Map(readings.map((each) => [each.device_id, each])), NOW);

test("the load is computed only where turbines, batteries and grid are all known", () => {
  const check = (devices, readings, kw, by) => {
    const { load } = plant(devices, readings);
    assert.deepEqual({ kw: load.kw, by: load.by }, { kw, by });
  };
  const grid = meter("grid");
  check([turbine, battery, grid], [power("turbine-1", 12), power("battery-1", -5), power("meter-1", 1)], 8, "balance");
  check([turbine, battery], [power("turbine-1", 12), power("battery-1", -5)], 7, "balance with grid");
  check([turbine], [power("turbine-1", 12)], 12, "balance with grid");
  check([turbine, battery], [power("turbine-1", 12)], null, "unknown");
  check([turbine, battery], [power("turbine-1", 12), power("battery-1", -5, { agoS: 41 })], null, "unknown");
  check([turbine, battery], [power("turbine-1", 12), power("battery-1", -5, { quality: { power_output_kw: "stuck" } })], null, "unknown");
  check([turbine, grid], [power("turbine-1", 12), power("meter-1", null)], null, "unknown");
  check([battery], [power("battery-1", 3)], null, "unknown");
  check([turbine, meter("load")], [power("turbine-1", 12), power("meter-1", -4)], 4, "meter");
  check([turbine, meter("load")], [power("turbine-1", 12)], null, "meter");
});

test("a meter whose place nobody told counts nowhere", () => {
  const { meters, load } = plant([turbine, meter()], [power("turbine-1", 12), power("meter-1", 11.9)]);
  assert.deepEqual(meters.map(({ kw }) => kw), [11.9]);
  assert.equal(load.kw, 12);
  assert.equal(partOf(meter("something else")), "meter");
});

test("each kind of water comes from the first device that has it", () => {
  const other = device("radar-2", "sensor", { kind: "radar" });
  const { water } = plant([other, radar], [reading("radar-1", {}, { extra: { water_speed_mps: 2.5 } }), reading("radar-2", { water_flow_rate: 900 }, { extra: { water_speed_mps: 9 } })]);
  assert.deepEqual(water.map(({ metric, value }) => [metric, value]), [["water_speed_mps", 2.5], ["water_flow_rate", 900]]);
  assert.deepEqual(plant([turbine], []).water, []);
});

test("several turbines stand in the order of their names", () => {
  const { turbines } = plant([device("turbine-10", "turbine"), device("turbine-2", "turbine")], [power("turbine-2", 1), power("turbine-10", 2)]);
  assert.deepEqual(turbines.map(({ device: { id } }) => id), ["turbine-2", "turbine-10"]);
  assert.equal(sumOf(turbines), 3);
  assert.equal(sumOf([...turbines, { kw: null }]), null);
});

test("a device is stale after three intervals and the pause between uploads", () => {
  assert.equal(staleAfterS(device("a", "turbine", {}, 60)), 190);
  assert.equal(staleAfterS(device("a", "turbine", {}, 1)), 40);
  assert.equal(staleAfterS(device("a", "turbine", {}, null)), 190);
});

test("what a reading has is listed with what the device said it lacks", () => {
  const found = reading("a", { power_output_kw: 1, voltage_v: null, temperature_c: null }, { quality: { temperature_c: "sentinel" }, extra: { rotor_rpm: 3, energy_kwh: 4 } });
  assert.deepEqual(metricsOf(found), ["power_output_kw", "temperature_c", "energy_kwh", "rotor_rpm"]);
  assert.deepEqual(leadingOf(found), ["power_output_kw", "rotor_rpm", "temperature_c"]);
  assert.deepEqual(leadingOf(reading("a", {}, { extra: { x_sluice_percent: 40 } })), ["x_sluice_percent"]);
});

test("a sensor is called by what it senses", () => {
  assert.equal(kindOf(radar), "radar");
  assert.equal(kindOf(device("a", "turbine", { kind: "inverter" })), "turbine");
  assert.equal(kindOf(device("a", "sensor")), "sensor");
});

test("an older reading never takes the place of a newer one", () => {
  const first = power("turbine-1", 1, { agoS: 5 });
  const latest = withNewer(new Map(), [first, power("turbine-1", 2, { agoS: 9 })]);
  assert.equal(latest.get("turbine-1"), first);
  const next = withNewer(latest, [power("turbine-1", 3)]);
  assert.equal(next.get("turbine-1").power_output_kw, 3);
  assert.equal(latest.get("turbine-1"), first);
});
