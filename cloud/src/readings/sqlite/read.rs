//! Connections that read, kept open between queries, on threads where blocking is allowed.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use riverwatts_shared::time::UtcMs;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::super::month::Month;
use super::super::{ReadingsError, failed};
use super::month::{Months, open_to_read};
use super::unavailable;

/// Queries that run at once; further ones wait.
const QUERIES_MAX: usize = 8;
/// Connections that are kept open while nobody uses them.
const IDLE_MAX: usize = 16;

/// The way to connections that read; cheap to clone.
#[derive(Clone)]
pub struct Readers(Arc<Inner>);

struct Inner {
    months: Arc<Months>,
    series: PathBuf,
    idle: Mutex<Vec<(File, Connection)>>,
    free: Semaphore,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum File {
    Series,
    Month(Month),
}

/// A connection in use; goes back when dropped.
pub struct Reading<'r> {
    readers: &'r Inner,
    file: File,
    connection: Option<Connection>,
}

impl Readers {
    pub fn new(months: Arc<Months>, series: PathBuf) -> Readers {
        Readers(Arc::new(Inner { months, series, idle: Mutex::new(Vec::new()), free: Semaphore::new(QUERIES_MAX) }))
    }

    /// Runs `query` where it may block.
    pub async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Readers) -> Result<T, ReadingsError> + Send + 'static,
    ) -> Result<T, ReadingsError> {
        let _permit = self.0.free.acquire().await.map_err(unavailable)?;
        let readers = self.clone();
        tokio::task::spawn_blocking(move || query(&readers)).await.map_err(failed)?
    }

    /// The months that have a file and touch `[from, to)`, oldest first.
    pub fn months(&self, from: UtcMs, to: UtcMs) -> Vec<Month> {
        self.0.months.within(from, to)
    }

    /// A connection to the file of a month, one of [`Readers::months`].
    pub fn month(&self, month: Month) -> Result<Reading<'_>, ReadingsError> {
        self.take(File::Month(month))
    }

    /// A connection to the file of roll-ups and the ledger.
    pub fn series(&self) -> Result<Reading<'_>, ReadingsError> {
        self.take(File::Series)
    }

    fn take(&self, file: File) -> Result<Reading<'_>, ReadingsError> {
        let kept = {
            let mut idle = self.0.idle.lock().expect("never poisoned: nothing panics inside");
            let index = idle.iter().rposition(|(of, _)| *of == file);
            index.map(|index| idle.remove(index).1)
        };
        let connection = match (kept, file) {
            (Some(connection), _) => connection,
            (None, File::Series) => open_to_read(&self.0.series)?,
            (None, File::Month(month)) => self.0.months.open_to_read(month)?,
        };
        Ok(Reading { readers: &self.0, file, connection: Some(connection) })
    }
}

impl Deref for Reading<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("there until it is dropped")
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let mut idle = self.readers.idle.lock().expect("never poisoned: nothing panics inside");
            if idle.len() == IDLE_MAX {
                idle.remove(0);
            }
            idle.push((self.file, connection));
        }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("months", &self.0.months).finish_non_exhaustive()
    }
}
