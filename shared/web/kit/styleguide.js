// A page that shows every component in every state, to look at in both themes.

import { html, useEffect, useState } from "../vendor/preact.js";
import { Age, Badge, Empty, Failed, Loading, Notice, Offline, Value } from "./value.js";
import { Menu, toast, useTitle } from "./shell.js";
import { Table } from "./table.js";
import { Field, Form } from "./form.js";
import { Dialog } from "./dialog.js";
import { Spark } from "./spark.js";
import { Qr } from "./qr.js";
import { age, counted, gapReason, linkState } from "./format.js";

const MINUTE_MS = 60_000;
const opened = Date.now();

/** @param {{name: string, children?: import("../vendor/preact.js").Children}} props */
const Part = ({ name, children }) => html`<section class="card stack"><h2>${name}</h2>${children}</section>`;

const ROWS = [
  { id: "turbine-1", kind: "turbine", kw: 4.812, quality: "ok", ageMs: 2_000 },
  { id: "meter-1", kind: "meter", kw: -1.204, quality: "ok", ageMs: 4_000 },
  { id: "battery-1", kind: "battery", kw: null, quality: "sentinel", ageMs: 9_000 },
  { id: "<img onerror=alert(1)>", kind: "sensor", kw: null, quality: "ok", ageMs: 8_400_000 },
];
/** @type {import("./table.js").Column<typeof ROWS[number]>[]} */
const COLUMNS = [
  { key: "device", label: "Device", head: true, sort: (row) => row.id, cell: (row) => html`<a href="/styleguide">${row.id}</a>` },
  { key: "kind", label: "Kind", sort: (row) => row.kind, cell: (row) => row.kind },
  { key: "power", label: "Power", number: true, sort: (row) => row.kw, cell: (row) => html`<${Value} metric="power_output_kw" value=${row.kw} quality=${row.quality} time=${opened - row.ageMs} staleAfterS=${180} />` },
  { key: "course", label: "Last hour", cell: () => html`<${Spark} metric="power_output_kw" points=${COURSE} from=${COURSE[0].time} to=${opened} maxGapMs=${3 * MINUTE_MS} />` },
];
const COURSE = Array.from({ length: 60 }, (_, minute) => ({
  time: opened - (60 - minute) * MINUTE_MS,
  value: minute > 24 && minute < 33 ? null : 4 + Math.sin(minute / 7) + 0.2 * Math.sin(minute * 1.7),
}));

const DAY_MS = 86_400_000;
const METRICS = ["power_output_kw", "water_speed_mps", "voltage_v", "dc_power_kw"];
const SHIFT = { from: new Date(opened - 11 * DAY_MS).toISOString(), to: new Date(opened - 9 * DAY_MS).toISOString() };

/** @type {Record<string, (range: {from: number, to: number, points: number}) => Promise<{buckets: any[], gaps: any[]}>>} */
const ANSWERS = {
  full: river,
  nothing: async () => ({ buckets: [], gaps: [] }),
  "on its way": () => new Promise(() => {}),
  refused: async () => {
    throw new Error("The server does not answer");
  },
};

/**
 * A month of a river that nobody measured.
 * @param {{from: number, to: number, points: number}} range
 */
async function river({ from, to, points }) {
  const step = Math.max(MINUTE_MS, (to - from) / points);
  const buckets = Array.from({ length: Math.floor((to - from) / step) }, (_, index) => {
    const start = from + index * step;
    const lost = start > Date.parse(SHIFT.from) && start < Date.parse(SHIFT.to);
    const speed = 1.8 + 0.4 * Math.sin(start / DAY_MS) + 0.08 * Math.sin(start / 3_700_000);
    const values = { power_output_kw: 0.82 * speed ** 3, water_speed_mps: speed, voltage_v: 230 + 2 * Math.sin(start / 9_100_000), dc_power_kw: 0.9 * speed ** 3 };
    return METRICS.map((metric, each) => {
      const mean = lost ? null : Object.values(values)[each];
      const spread = (mean ?? 0) * 0.06 * (1 + Math.sin(start / 7_900_000));
      return { metric, start: new Date(start).toISOString(), end: new Date(start + step).toISOString(), mean, min: mean === null ? null : mean - spread, max: mean === null ? null : mean + spread };
    });
  }).flat();
  return { buckets, gaps: [{ ...SHIFT, reason: "unclean_stop" }] };
}

function Month() {
  const [Chart, setChart] = useState(/** @type {{of: import("../vendor/preact.js").Component}|null} */ (null));
  const [metrics, setMetrics] = useState(METRICS.slice(0, 2));
  const [answer, setAnswer] = useState("full");
  useEffect(() => {
    import("./chart.js").then((module) => setChart({ of: module.Chart }));
  }, []);
  if (Chart === null) return html`<${Loading} rows=${6} />`;
  return html`<div class="row"><div class="segments" role="group" aria-label="Metrics">${[1, 2, 4].map((count) => html`<button key=${count} type="button" aria-pressed=${metrics.length === count} onClick=${() => setMetrics(METRICS.slice(0, count))}>${count}</button>`)}</div>
    <div class="segments" role="group" aria-label="Answer">${Object.keys(ANSWERS).map((name) => html`<button key=${name} type="button" aria-pressed=${answer === name} onClick=${() => setAnswer(name)}>${name}</button>`)}</div></div>
    <${Chart.of} key=${answer} label="A month of a river" metrics=${metrics} from=${opened - 30 * DAY_MS} to=${opened} zone="America/Anchorage" load=${ANSWERS[answer]}
      marks=${[{ time: new Date(opened - 4 * DAY_MS).toISOString(), label: "blades cleaned" }]} />`;
}

/** @param {Record<string, string>} values */
async function refuse(values) {
  await new Promise((resolve) => setTimeout(resolve, 600));
  const details = [{ field: "email", message: "is taken" }];
  throw Object.assign(new Error("Check the marked fields"), values.email === "" ? {} : { details });
}

export default function Styleguide() {
  useTitle("Styleguide");
  const [asked, setAsked] = useState(false);
  return html`<div class="page-head"><h1>Styleguide</h1>
      <div class="row"><${Badge} kind="good">live<//><${Menu} label="Menu"><a class="button" href="/">Home</a><button type="button" class="button">Sign out</button><//></div></div>
    <div class="stack">
      <${Part} name="Values">
        <div class="values">
          <${Value} label size="xl" metric="power_output_kw" value=${4.8123} time=${opened} staleAfterS=${180} />
          <${Value} label size="l" metric="water_speed_mps" value=${1.874} time=${opened - 70_000} staleAfterS=${180} zone="America/Anchorage" />
          <${Value} label size="l" metric="voltage_l1_v" value=${231.42} time=${opened - 700_000} staleAfterS=${180} />
          <${Value} label size="l" metric="battery_level_percent" value=${null} reason="no battery reports" />
          <${Value} label size="l" metric="temperature_c" value=${null} quality="sentinel" time=${opened} />
          <${Value} label metric="rotor_rpm" value=${142.25} quality="stuck" time=${opened} />
          <${Value} label metric="power_output_kw" value=${-1.204} />
          <${Value} label metric="energy_kwh" value=${123456.78} />
          <${Value} label metric="power_factor" value=${0.98} />
          <${Value} label metric="dc_power_kw" value=${0} />
          <${Value} label metric="energy_import_kwh" value=${9_123_456_789.1} />
          <${Value} label metric="x_a_value_that_its_maker_gave_a_very_long_name_kw" value=${-0.0001} />
        </div>
      <//>
      <${Part} name="States in words">
        <div class="row">${["connected", "lost", "never", "none"].map((state) => html`<${Badge} key=${state} kind=${linkState(state).kind} title=${linkState(state).meaning}>${linkState(state).word}<//>`)}
          <${Badge} kind="warn">range<//><${Badge} kind="info">virtual<//><${Badge}>idle<//><${Age} time=${opened} /><${Age} time=${opened - 400_000} staleAfterS=${180} /><${Age} time=${null} staleAfterS=${180} /></div>
        <${Notice} title="A newer version is there" action=${html`<button type="button" class="button">Reload</button>`} />
        <${Notice} kind="good" title="Enrolled">The first reading arrived ${age(3_000)}.<//>
        <${Notice} kind="warn" title="Not up to date">${gapReason("store_full_thinned")}, ${counted(1_312, "reading")}.<//>
        <${Failed} error=${new Error("The server does not answer")} retry=${() => toast("Tried again")} />
        <${Offline} since=${opened} retryAt=${opened + 30_000} retry=${() => toast("Tried again", "info")} />
        <${Loading} />
        <${Empty} title="No site yet" action=${html`<a class="button primary" href="/gateways">Add a gateway</a>`}>A site appears here as soon as its gateway is enrolled.<//>
      <//>
      <${Part} name="Chart"><${Month} /><//>
      <${Part} name="Table"><${Table} caption="Devices" columns=${COLUMNS} rows=${ROWS} rowKey=${(/** @type {any} */ row) => row.id} order="device" /><//>
      <${Part} name="Form">
        <${Form} label="Example" submit="Save" send=${refuse}>
          <${Field} name="email" label="E-mail" type="email" required autocomplete="off" hint="Any one is taken here; none fails as a whole." />
          <${Field} name="role" label="Role" type="select" value="viewer" options=${["admin", "technician", "viewer"].map((value) => ({ value, label: value }))} />
          <${Field} name="rated" label="Rated power, kW" inputmode="decimal" error="must be above 0" value="-3" />
          <${Field} name="note" label="Note" type="textarea" />
          <${Field} name="metered" label="The link is metered" type="checkbox" hint="Sends each minute." value=${true} />
        <//>
      <//>
      <${Part} name="Buttons and dialogs">
        <div class="row">
          <button type="button" class="button primary" onClick=${() => toast("Saved")}>Primary</button>
          <button type="button" class="button" onClick=${() => setAsked(true)}>Dialog</button>
          <button type="button" class="button danger" onClick=${() => toast("The gateway refused", "bad")}>Danger</button>
          <button type="button" class="button" disabled>Disabled</button>
          <div class="segments" role="group" aria-label="Range">${["1 h", "24 h", "7 d", "30 d"].map((range, index) => html`<button key=${range} type="button" aria-pressed=${index === 1}>${range}</button>`)}</div>
        </div>
        <${Qr} text="rw-7K4M-29QF" label="Code to try" size=${120} />
        ${asked && html`<${Dialog} title="Revoke the gateway?" close=${() => setAsked(false)}><p>It stops sending at once; its readings stay.</p><div class="form-actions"><button type="button" class="button danger" onClick=${() => setAsked(false)}>Revoke</button>
          <button type="button" class="button" onClick=${() => toast("What is said is seen above a dialog")}>Say something</button></div><//>`}
      <//>
    </div>`;
}
