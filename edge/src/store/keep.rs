//! What the store's thread does with its file: it opens it, again and again where the disk refuses,
//! keeps it in order between commands, and tells how things are.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use riverwatts_shared::time::Clock;
use tokio::sync::{oneshot, watch};

use super::file::{Stamp, StoreFile};
use super::open::{self, OpenError};
use super::thread::{Figures, Oldest};
use super::trouble::Trouble;
use super::{Flush, Left, Settings, StoreError, wear};

/// What the thread owns.
pub(super) struct Keeper {
    /// `None` until the disk lets itself be read and written; then there is trouble.
    pub(super) file: Option<StoreFile>,
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) figures: Arc<Mutex<Figures>>,
    pub(super) told: watch::Sender<i64>,
    pub(super) trouble: Option<Trouble>,
    /// What keeps it from sealing, dating and deleting.
    pub(super) untidy: Option<String>,
}

impl Keeper {
    /// Answers when the figures tell of it already.
    pub(super) fn answer<T>(&self, to: oneshot::Sender<T>, done: T) {
        self.show();
        // Who does not wait for the answer any more does not miss it.
        let _ = to.send(done);
    }

    pub(super) fn flush(&mut self, flush: &Flush) -> Result<(), StoreError> {
        let now = self.clock.monotonic();
        if let Some(trouble) = &self.trouble {
            if !trouble.is_due(now) {
                return Err(StoreError::Waiting(trouble.words.clone()));
            }
            self.reconnect();
        }
        let done = self.guarded(|file, now| file.commit_flush(flush, now));
        match &done {
            Ok(()) => {
                if self.trouble.take().is_some() {
                    tracing::info!("the store commits again");
                }
                self.tell_committed();
            }
            Err(StoreError::Waiting(_)) => {}
            Err(error) => self.note(error.to_string()),
        }
        done
    }

    /// Opens the store; when that fails, there is trouble.
    pub(super) fn open(&mut self) -> Result<Left, OpenError> {
        let path = self.settings.dir.join(open::FILE);
        let opened = open::open(self.settings.clone(), self.clock.monotonic()).and_then(|file| {
            let left = file.left().map_err(|cause| OpenError::File { path, cause })?;
            Ok((file, left))
        });
        match opened {
            Ok((file, left)) => {
                self.file = Some(file);
                self.tell_committed();
                Ok(left)
            }
            Err(error) => {
                self.note(error.to_string());
                Err(error)
            }
        }
    }

    /// The handle may be of a disk that is gone, with the same or another one in its place.
    fn reconnect(&mut self) {
        let is_another = self.file.as_mut().is_some_and(|file| matches!(file.reconnect(), Ok(false)));
        if is_another {
            tracing::warn!("another store has taken the place of the one that was in use");
            self.file = None;
        }
    }

    fn tell_committed(&self) {
        if let Some(file) = &self.file {
            self.told.send_replace(file.next_flush - 1);
        }
    }

    /// Does `work`, once there is a store; where the file turns out to be damaged, on a new one.
    pub(super) fn guarded<T>(
        &mut self,
        mut work: impl FnMut(&mut StoreFile, Duration) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let now = self.clock.monotonic();
        if self.file.is_none() {
            if let Some(trouble) = self.trouble.as_ref().filter(|trouble| !trouble.is_due(now)) {
                return Err(StoreError::Waiting(trouble.words.clone()));
            }
            self.open().map_err(|error| StoreError::Waiting(error.to_string()))?;
            tracing::info!("the store is open");
            self.trouble = None;
        }
        let Some(file) = &mut self.file else { return Err(StoreError::Stopped) };
        let mut done = file.mending(|file| work(file, now));
        if matches!(done, Err(StoreError::Damaged(_))) && matches!(file.reconnect(), Ok(true)) {
            // What the handle remembers of a disk that failed may be all that is wrong.
            done = file.mending(|file| work(file, now));
        }
        let Err(StoreError::Damaged(cause)) = done else { return done };
        let lock = file.lock.try_clone().map_err(StoreError::Unreadable)?;
        let traffic = file.traffic.anew();
        let file = match open::begin_again(self.settings.clone(), lock, now, &cause) {
            Ok(file) => self.file.insert(StoreFile { traffic, ..file }),
            Err(error @ StoreError::Unreadable(_)) => return Err(error),
            Err(error) => {
                // The next attempt looks at what is there.
                self.file = None;
                return Err(error);
            }
        };
        work(file, now)
    }

    /// One step of what is not urgent. Gives whether there may be another.
    pub(super) fn tidy(&mut self) -> bool {
        let is_refused = |trouble: &Trouble| !trouble.is_due(self.clock.monotonic());
        if self.file.is_none() || self.trouble.as_ref().is_some_and(is_refused) {
            return false;
        }
        self.begin_work();
        let step = self.guarded(|file, now| {
            if file.receipts_due(now) {
                file.commit(None)?;
            }
            if file.seal_due(now) {
                file.seal(now)?;
                file.book_written()?;
                file.limit_dead_letters()?;
                file.retaining = true;
                if !std::mem::take(&mut file.fills_up) && file.full.take().is_some() {
                    tracing::info!("the store gives up no readings any more");
                }
            }
            if file.date_some()? {
                file.thinned_until = 0;
                return Ok(true);
            }
            if file.retaining || file.limit_reached()?.is_some() {
                file.retaining = file.retain_some()?;
            }
            Ok(file.retaining)
        });
        match step {
            Ok(more) => {
                self.untidy = None;
                more
            }
            Err(error) => {
                let words = error.to_string();
                if self.untidy.as_ref() != Some(&words) {
                    tracing::error!(error = words, "the store cannot be kept in order");
                    self.untidy = Some(words);
                }
                false
            }
        }
    }

    fn note(&mut self, words: String) {
        if self.trouble.as_ref().is_none_or(|trouble| trouble.words != words) {
            tracing::error!(error = words, "the store cannot do its work; readings wait in memory");
        }
        self.trouble = Some(Trouble::after(self.trouble.as_ref(), words, self.clock.monotonic()));
    }

    pub(super) fn begin_work(&self) {
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.busy_since = Some(self.clock.monotonic());
    }

    pub(super) fn show(&self) {
        let error = self.trouble.as_ref().map(|trouble| trouble.words.clone()).or_else(|| self.untidy.clone());
        let mut figures = Figures { error, ..Figures::default() };
        if let Some(file) = &self.file {
            let oldest = file.oldest_unsettled_at().ok().flatten().map(|Stamp { boot, ms }| match boot {
                None => Oldest::Utc(ms),
                Some(boot) if boot == file.boot => Oldest::Monotonic(ms),
                Some(_) => Oldest::Unknown,
            });
            let ran = self.clock.monotonic().saturating_sub(Duration::from_millis(file.opened_ms.unsigned_abs()));
            figures = Figures {
                commits: file.commits,
                backlog: file.backlog,
                oldest,
                dead_letters: file.dead_letters,
                written: file.wear.written(file.day(), wear::this_run(), ran),
                lost: file.lost,
                full: file.full.map(|full| full.to_string()),
                traffic: Arc::clone(&file.traffic.days),
                ..figures
            };
        }
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }
}
