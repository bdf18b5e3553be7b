// A table of things that a person compares: a real table, sorted where a column allows it, and cards on a phone.

import { html, useState, useId } from "../vendor/preact.js";

/** @typedef {import("../vendor/preact.js").Children} Children */
/**
 * @template Row
 * @typedef {{key: string, label: string, cell: (row: Row) => Children, number?: boolean, head?: boolean,
 *   sort?: (row: Row) => string|number|null}} Column
 *   `number` aligns to the right; `head` names the row (the card's title); `sort` makes it sortable: null comes last.
 */

/**
 * @param {string|number|null} one
 * @param {string|number|null} other
 * @param {number} direction
 */
function compare(one, other, direction) {
  if (one === null || other === null) return Number(one === null) - Number(other === null);
  const order = typeof one === "string" && typeof other === "string" ? one.localeCompare(other, "en", { numeric: true }) : Number(one) - Number(other);
  return order * direction;
}

/**
 * Rows in the order of a column; equal ones keep theirs.
 * @template Row
 * @param {Row[]} rows
 * @param {Column<Row>[]} columns
 * @param {string|null} order a column's key, `-key` for the largest first, null as they are
 */
export function sorted(rows, columns, order) {
  const sort = columns.find((column) => column.key === order?.replace(/^-/, ""))?.sort;
  if (order === null || sort === undefined) return rows;
  const direction = order.startsWith("-") ? -1 : 1;
  return [...rows].sort((one, other) => compare(sort(one), sort(other), direction));
}

/**
 * @param {{columns: Column<any>[], rows: any[], rowKey: (row: any) => string, caption: string, order?: string|null,
 *   empty?: Children, rowClass?: (row: any) => string|undefined}} props
 *   `caption` is for those who do not see the page; `order` is the order at first, as for `sorted`;
 *   `empty` stands there without rows.
 */
export function Table({ columns, rows, rowKey, caption, order: first = null, empty, rowClass }) {
  const [order, setOrder] = useState(first);
  const id = useId();
  const sortable = columns.filter((column) => column.sort !== undefined);
  if (rows.length === 0 && empty !== undefined) return empty;
  const key = order?.replace(/^-/, "");
  const down = order?.startsWith("-") ?? false;

  /** @param {Column<any>} column */
  const header = (column) => {
    const state = column.key !== key ? undefined : down ? "descending" : "ascending";
    const turn = () => setOrder(column.key === key && !down ? `-${column.key}` : column.key);
    const mark = html`<span class="sort-mark" aria-hidden="true">${state === undefined ? "↕" : down ? "↓" : "↑"}</span>`;
    return html`<th key=${column.key} role="columnheader" scope="col" class=${column.number ? "number" : undefined} aria-sort=${state}>
      ${column.sort === undefined ? column.label : html`<button type="button" class="sort" onClick=${turn}>${column.label}${mark}</button>`}
    </th>`;
  };
  /** @param {Column<any>} column @param {any} row */
  const cell = (column, row) => html`<${column.head ? "th" : "td"} key=${column.key} role=${column.head ? "rowheader" : "cell"} scope=${column.head ? "row" : undefined} class=${column.number ? "number" : undefined}>
    ${!column.head && html`<span class="cell-label">${column.label}</span>`}<span class="cell">${column.cell(row)}</span>
  <//>`;

  return html`<div class="table-box">
    ${sortable.length > 0 && html`<div class="table-order">
      <label for=${id}>Sort by</label>
      <select id=${id} value=${order ?? ""} onChange=${(/** @type {any} */ event) => setOrder(event.currentTarget.value || null)}>
        ${first === null && html`<option value="">as they come</option>`}
        ${sortable.map((column) => html`<option key=${column.key} value=${column.key}>${column.label}, ascending</option>
          <option key=${`-${column.key}`} value=${`-${column.key}`}>${column.label}, descending</option>`)}
      </select>
    </div>`}
    <table class="table" role="table">
      <caption class="unseen">${caption}</caption>
      <thead role="rowgroup"><tr role="row">${columns.map(header)}</tr></thead>
      <tbody role="rowgroup">${sorted(rows, columns, order).map((row) => html`<tr key=${rowKey(row)} role="row" class=${rowClass?.(row)}>${columns.map((column) => cell(column, row))}</tr>`)}</tbody>
    </table>
  </div>`;
}
