//! Lists of tables, in both ways in which TOML writes them.

use toml_edit::{Item, Table, TableLike};

/// The tables of a list, written `[[key]]` or `key = [{ … }]`, and where each begins.
pub(super) fn tables_of(item: &Item) -> Option<Vec<(&dyn TableLike, Option<usize>)>> {
    if let Some(tables) = item.as_array_of_tables() {
        let table = |table| (table as &dyn TableLike, Table::span(table).map(|span| span.start));
        return Some(tables.iter().map(table).collect());
    }
    let tables = item.as_array().filter(|list| !list.is_empty())?.iter().map(|value| {
        let table = value.as_inline_table()?;
        Some((table as &dyn TableLike, value.span().map(|span| span.start)))
    });
    tables.collect()
}
