// Ranges in addresses, and the clocks of a site.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fromLocal, inAddress, lengthFirst, rangeOf, toLocal } from "../range.js";

test("an address that says nothing sensible means the usual range", () => {
  const check = (query, range) => assert.deepEqual(rangeOf(new URLSearchParams(query), "24h"), range, query);
  check("", { length: "24h" });
  check("range=7d", { length: "7d" });
  check("range=constructor", { length: "24h" });
  check("from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z", { length: "24h" });
  check("from=yesterday&range=1y", { length: "1y" });
  check("from=2026-11-01T00:00:00Z&to=2026-11-02T00:00:00Z&range=7d", { length: null, from: Date.UTC(2026, 10, 1), to: Date.UTC(2026, 10, 2) });
});

test("a range survives its address", () => {
  for (const first of ["1h", "24h"]) for (const range of [{ length: "1h" }, { length: "24h" }, { length: null, from: 1_000, to: 2_000 }]) {
    const changes = Object.entries(inAddress(range)).filter(([, value]) => value !== null);
    assert.deepEqual(rangeOf(new URLSearchParams(changes), first), range);
  }
});

test("a device that is new shows its first hour first", () => {
  const since = Date.UTC(2026, 10, 24);
  assert.equal(lengthFirst(since, since + 59 * 60_000), "1h");
  assert.equal(lengthFirst(since, since + 60 * 60_000), "24h");
});

test("a site's clocks are read both ways", () => {
  const check = (text, zone, utc) => {
    const time = Date.parse(utc);
    assert.equal(fromLocal(text, zone), time, text);
    assert.equal(toLocal(time, zone), text, text);
  };
  check("2026-11-24T01:02", "America/Anchorage", "2026-11-24T10:02:00Z");
  check("2026-07-01T00:00", "America/Anchorage", "2026-07-01T08:00:00Z");
  check("2026-07-01T05:45", "Asia/Kathmandu", "2026-07-01T00:00:00Z");
  check("2026-03-29T01:59", "Europe/Berlin", "2026-03-29T00:59:00Z");
  check("2026-03-29T03:00", "Europe/Berlin", "2026-03-29T01:00:00Z");
  check("2026-10-25T03:00", "Europe/Berlin", "2026-10-25T02:00:00Z");
});

test("an hour that the clocks skip or show twice has one meaning", () => {
  assert.equal(fromLocal("2026-03-29T02:30", "Europe/Berlin"), Date.parse("2026-03-29T01:30:00Z"));
  assert.equal(fromLocal("2026-10-25T02:30", "Europe/Berlin"), Date.parse("2026-10-25T00:30:00Z"));
  assert.equal(fromLocal("", "Europe/Berlin"), null);
});
