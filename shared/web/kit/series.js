// From answers of the API to columns that a chart draws, a table shows and a file keeps. Pure functions.
// A window without readings is a null, so that no line ever crosses it.

/**
 * @typedef {{metric: string, start: string, end: string, min: number|null, max: number|null, mean: number|null}} Bucket
 *   one of `GET /readings/aggregated`
 * @typedef {{from: string, to: string, reason: string}} Gap
 * @typedef {{mean: Cell[], min: Cell[], max: Cell[]}} Column
 * @typedef {number|null|undefined} Cell null: known to be missing; undefined: nothing was due at that time
 * @typedef {{times: number[], columns: Record<string, Column>}} Series times in ms, all columns as long
 */

/** What roll-ups leave out, a chart of readings leaves out too. */
const KEPT_OUT = new Set(["sentinel", "range", "time_order", "rate", "stuck", "cross_check"]);

/**
 * @param {Bucket} bucket
 * @returns {number} the middle of its window
 */
const middle = (bucket) => (Date.parse(bucket.start) + Date.parse(bucket.end)) / 2;

/**
 * One column set per metric over all times; a gap breaks every line.
 * @param {Bucket[]} buckets
 * @param {string[]} metrics
 * @param {Gap[]} gaps
 * @returns {Series}
 */
export function shape(buckets, metrics, gaps = []) {
  /** @type {Map<string, Map<number, Bucket>>} */
  const found = new Map(metrics.map((metric) => [metric, new Map()]));
  const all = new Set(/** @type {number[]} */ ([]));
  for (const bucket of buckets) {
    const own = found.get(bucket.metric);
    if (own === undefined) continue;
    const time = middle(bucket);
    own.set(time, bucket);
    all.add(time);
  }
  const measured = [...all].sort((one, other) => one - other);
  const breaks = new Set(gaps.flatMap(({ from, to }) => breakOf(measured, Date.parse(from), Date.parse(to))));
  const times = [...measured, ...breaks].sort((one, other) => one - other);
  /** @param {string} metric @param {"mean"|"min"|"max"} part @returns {Cell[]} */
  const column = (metric, part) => times.map((time) => (breaks.has(time) ? null : found.get(metric)?.get(time)?.[part]));
  return { times, columns: Object.fromEntries(metrics.map((metric) => [metric, { mean: column(metric, "mean"), min: column(metric, "min"), max: column(metric, "max") }])) };
}

/**
 * A time inside a gap that no window stands in, if lines would cross it.
 * @param {number[]} times
 * @param {number} from
 * @param {number} to
 */
function breakOf(times, from, to) {
  const time = (from + to) / 2;
  const before = times.some((each) => each < time);
  const after = times.some((each) => each > time);
  return before && after && !times.includes(time) && !times.some((each) => each > from && each < to) ? [time] : [];
}

/**
 * Readings as the windows of zero length that a chart can draw; between two that are further apart than
 * `maxGapMs` stands an empty one.
 * @param {({timestamp: string, extra?: Record<string, number|null>, quality?: Record<string, string>} & Record<string, any>)[]} readings in any order
 * @param {string[]} metrics
 * @param {number} maxGapMs
 * @returns {Bucket[]}
 */
export function fromReadings(readings, metrics, maxGapMs) {
  const inOrder = [...readings].sort((one, other) => Date.parse(one.timestamp) - Date.parse(other.timestamp));
  /** @type {Bucket[]} */
  const buckets = [];
  let before = Infinity;
  for (const reading of inOrder) {
    const time = Date.parse(reading.timestamp);
    if (time - before > maxGapMs) buckets.push(...metrics.map((metric) => bucketAt(metric, new Date((before + time) / 2).toISOString(), null)));
    for (const metric of metrics) {
      const kept = !KEPT_OUT.has(reading.quality?.[metric] ?? "ok");
      buckets.push(bucketAt(metric, reading.timestamp, kept ? reading[metric] ?? reading.extra?.[metric] ?? null : null));
    }
    before = time;
  }
  return buckets;
}

/** @param {string} metric @param {string} time @param {number|null} value @returns {Bucket} */
const bucketAt = (metric, time, value) => ({ metric, start: time, end: time, min: value, max: value, mean: value });

/**
 * The buckets of an answer with the live ones that are newer. A window that was still open when the answer came ends there,
 * or where the live ones begin: its middle would lie ahead.
 * @param {Bucket[]} buckets
 * @param {Bucket[]} tail in order
 * @param {number} asOf when the answer came, in ms
 */
export function joined(buckets, tail, asOf) {
  const isOpen = (/** @type {Bucket} */ bucket) => Date.parse(bucket.end) > asOf;
  const end = buckets.reduce((latest, bucket) => (bucket.mean === null || isOpen(bucket) ? latest : Math.max(latest, Date.parse(bucket.end))), -Infinity);
  const newer = tail.filter((bucket) => Date.parse(bucket.start) >= end);
  const begins = newer.length > 0 ? newer[0].start : new Date(asOf).toISOString();
  const older = buckets.flatMap((bucket) => {
    if (bucket.mean === null) return newer.length > 0 && Date.parse(bucket.end) > end ? [] : [bucket];
    if (!isOpen(bucket) || bucket.end <= begins) return [bucket];
    return bucket.start < begins ? [{ ...bucket, end: begins }] : [];
  });
  return [...older, ...newer];
}

/**
 * What lies between two times.
 * @param {Series} series
 * @param {number} from
 * @param {number} to
 * @returns {Series}
 */
export function within({ times, columns }, from, to) {
  const inside = (/** @type {unknown} */ _, /** @type {number} */ index) => times[index] >= from && times[index] <= to;
  const parts = Object.entries(columns).map(([metric, { mean, min, max }]) => [metric, { mean: mean.filter(inside), min: min.filter(inside), max: max.filter(inside) }]);
  return { times: times.filter(inside), columns: Object.fromEntries(parts) };
}

/**
 * Lowest, highest and last value; null when there is none.
 * @param {Series} series
 * @param {string} metric
 */
export function summary({ columns }, metric) {
  const { mean, min, max } = columns[metric];
  const last = lastOf(mean);
  if (last < 0) return null;
  const numbers = (/** @type {Cell[]} */ cells) => cells.filter((cell) => typeof cell === "number");
  return { low: least(numbers(min)), high: -least(numbers(max).map((value) => -Number(value))), last: mean[last] };
}

/** @param {Cell[]} cells @returns {number} */
const least = (cells) => cells.reduce((/** @type {number} */ low, cell) => Math.min(low, Number(cell)), Infinity);

/**
 * Where the last value stands; -1 without any.
 * @param {Cell[]} cells
 */
export const lastOf = (cells) => cells.reduce((/** @type {number} */ found, cell, index) => (typeof cell === "number" ? index : found), -1);

/**
 * At most `most` rows, evenly taken.
 * @param {Series} series
 * @param {number} most
 * @returns {number[]} their indexes
 */
export function thinned({ times }, most) {
  const step = Math.max(1, Math.ceil(times.length / most));
  return times.flatMap((_, index) => (index % step === 0 ? [index] : []));
}

/**
 * A file for a spreadsheet (RFC 4180), with times in UTC.
 * @param {Series} series
 * @param {string[]} metrics
 */
export function csv({ times, columns }, metrics) {
  const head = ["time", ...metrics.flatMap((metric) => ["mean", "min", "max"].map((part) => `${metric}_${part}`))];
  const rows = times.map((time, index) => [new Date(time).toISOString(), ...metrics.flatMap((metric) => {
    const { mean, min, max } = columns[metric];
    return [mean[index] ?? "", min[index] ?? "", max[index] ?? ""];
  })]);
  return [head, ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}

/**
 * Asks for ranges: waits until the wish stands still, aborts the request that it replaces, tells of the last one only.
 * @template Range, Answer
 * @param {{ask: (range: Range, signal: AbortSignal) => Promise<Answer>, got: (answer: Answer, range: Range) => void,
 *   failed: (error: unknown) => void}} calls
 */
export function latestOf({ ask, got, failed }) {
  /** @type {AbortController|null} */
  let running = null;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let waiting;
  const stop = () => {
    clearTimeout(waiting);
    running?.abort();
    running = null;
  };
  /** @param {Range} range */
  const start = async (range) => {
    const own = new AbortController();
    running = own;
    try {
      const answer = await ask(range, own.signal);
      if (running === own) got(answer, range);
    } catch (error) {
      if (running === own) failed(error);
    }
  };
  /** @param {Range} range @param {number} delayMs */
  const want = (range, delayMs) => {
    stop();
    if (delayMs === 0) start(range);
    else waiting = setTimeout(() => start(range), delayMs);
  };
  return { want, stop };
}
