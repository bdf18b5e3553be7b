//! Pages of a list, by key: a cursor names the last row that was given, so rows that come and go
//! meanwhile neither repeat nor hide others.

use uuid::Uuid;

/// One page of a list that is ordered by creation. Ids are UUID v7, so their order is that order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The last id of the page before; `None` for the first page.
    pub after: Option<Uuid>,
    /// Newest first.
    pub descending: bool,
    /// Most rows wanted.
    pub limit: u32,
}

impl Page {
    /// Rows when the caller does not say.
    pub const LIMIT_DEFAULT: u32 = 50;
    /// Most rows on one page.
    pub const LIMIT_MAX: u32 = 1_000;

    /// Completes `select … where …` by the cursor's condition and the order: `id` is the column,
    /// `$1` the cursor and `$2` the limit.
    pub fn sql(&self, select: &'static str, id: &'static str) -> sqlx::AssertSqlSafe<String> {
        let (side, order) = if self.descending { ("<", "desc") } else { (">", "asc") };
        // Built from the program's own text only.
        sqlx::AssertSqlSafe(format!("{select} and {id} {side} $1 order by {id} {order} limit $2"))
    }

    /// The id to start behind: the cursor, or one before all others.
    pub fn start(&self) -> Uuid {
        self.after.unwrap_or(if self.descending { Uuid::max() } else { Uuid::nil() })
    }

    /// One more than wanted, to learn whether there is a next page.
    pub fn fetch_limit(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Cuts `rows`, fetched with [`Page::fetch_limit`], to the page and names the next cursor.
    pub fn cut<T>(&self, mut rows: Vec<T>, id: impl Fn(&T) -> Uuid) -> Listed<T> {
        let more = rows.len() > self.limit as usize;
        rows.truncate(self.limit as usize);
        let next = if more { rows.last().map(id) } else { None };
        Listed { rows, next }
    }
}

/// One page and where the next begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// The cursor of the next page; `None` on the last.
    pub next: Option<Uuid>,
}
