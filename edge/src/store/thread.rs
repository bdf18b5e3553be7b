//! The store's own thread: commands come through a bounded channel, answers go back one by one.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::time::Clock;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::file::{Stamp, StoreFile};
use super::open::{self, OpenError};
use super::{
    Cargo, Chosen, Fate, Flush, History, Lane, Left, Limits, Outgoing, Settings, Settlement, StoreError, WriteRow,
    Written, wear,
};

/// Commands that may wait.
const WAITING_MAX: usize = 16;
/// Stack of the thread, in bytes.
const STACK_BYTES: usize = 512 << 10;

/// The store, for those who use it. Every call but [`Store::figures`] waits for the thread, which
/// waits for the disk.
#[derive(Debug, Clone)]
pub struct Store {
    commands: mpsc::Sender<Command>,
    figures: Arc<Mutex<Figures>>,
    committed: watch::Receiver<i64>,
    history: History,
    ended: CancellationToken,
}

/// The store at one moment.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Commits since the start.
    pub commits: u64,
    /// Readings that the cloud has not settled.
    pub backlog: u64,
    /// The oldest of them.
    pub oldest: Option<Oldest>,
    /// Readings that the cloud refused.
    pub dead_letters: u64,
    /// Bytes that were given to the disk.
    pub written: Written,
    /// What keeps it from committing, while it does.
    pub error: Option<String>,
}

/// When a reading was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oldest {
    /// In UTC ms.
    Utc(i64),
    /// In monotonic ms of this boot.
    Monotonic(i64),
    /// Before this boot.
    Unknown,
}

#[derive(Debug)]
enum Command {
    Flush(Arc<Flush>, oneshot::Sender<Result<(), StoreError>>),
    Take(Lane, Limits, oneshot::Sender<Result<Option<Outgoing>, StoreError>>),
    Settle(Cargo, Settlement, oneshot::Sender<Result<bool, StoreError>>),
    Release(Cargo),
    NextId(oneshot::Sender<Result<BatchId, StoreError>>),
    Fork(oneshot::Sender<Result<(), StoreError>>),
    RecordWrite(WriteRow, oneshot::Sender<Result<i64, StoreError>>),
    EndDeadLetters(Fate, Chosen, oneshot::Sender<Result<u64, StoreError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// Opens the store and starts its thread.
///
/// # Errors
/// When the folder cannot be used, or is used by another program.
pub fn start(settings: Settings, clock: Arc<dyn Clock>) -> Result<(Store, Left), OpenError> {
    let path = settings.dir.join(open::FILE);
    let file = open::open(settings, clock.monotonic())?;
    let left = file.left().map_err(|cause| OpenError::File { path: path.clone(), cause })?;
    let (commands, from_users) = mpsc::channel(WAITING_MAX);
    let (told, committed) = watch::channel(file.next_flush - 1);
    let figures = Arc::new(Mutex::new(Figures::default()));
    let history = History { path: path.clone() };
    let ended = CancellationToken::new();
    let guard = ended.clone().drop_guard();
    let store = Store { commands, figures: Arc::clone(&figures), committed, history, ended };
    let keeper = Keeper { file, clock, figures, told, error: None };
    let thread = thread::Builder::new().name("store".to_owned()).stack_size(STACK_BYTES);
    let spawned = thread.spawn(move || {
        let _guard = guard;
        keeper.run(from_users);
    });
    spawned.map_err(|cause| OpenError::Folder { path, cause })?;
    Ok((store, left))
}

impl Store {
    /// Commits a flush.
    pub async fn flush(&self, flush: Arc<Flush>) -> Result<(), StoreError> {
        self.ask(|answer| Command::Flush(flush, answer)).await
    }

    /// What is next to be sent; it counts as on its way until it is settled or released.
    pub async fn take(&self, lane: Lane, limits: Limits) -> Result<Option<Outgoing>, StoreError> {
        self.ask(|answer| Command::Take(lane, limits, answer)).await
    }

    /// Takes a receipt. Gives whether the cloud lost what it had, so that everything is sent again.
    pub async fn settle(&self, cargo: Cargo, settlement: Settlement) -> Result<bool, StoreError> {
        self.ask(|answer| Command::Settle(cargo, settlement, answer)).await
    }

    /// Gives back what did not arrive.
    pub async fn release(&self, cargo: Cargo) {
        // A store that has stopped has released everything.
        let _ = self.commands.send(Command::Release(cargo)).await;
    }

    /// A batch id that was never used before.
    pub async fn next_id(&self) -> Result<BatchId, StoreError> {
        self.ask(Command::NextId).await
    }

    /// Takes a new store id, since another gateway sends under this one.
    pub async fn fork(&self) -> Result<(), StoreError> {
        self.ask(Command::Fork).await
    }

    /// Stores an attempt to write to a device, or how the one with its number ended. Gives its number.
    pub async fn record_write(&self, write: WriteRow) -> Result<i64, StoreError> {
        self.ask(|answer| Command::RecordWrite(write, answer)).await
    }

    /// Ends the dead letters of this choice, all of them or none. Gives how many.
    pub async fn end_dead_letters(&self, fate: Fate, chosen: Chosen) -> Result<u64, StoreError> {
        self.ask(|answer| Command::EndDeadLetters(fate, chosen, answer)).await
    }

    /// Ends the thread, cleanly.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.ask(Command::Close).await
    }

    /// The store at this moment, from memory.
    pub fn figures(&self) -> Figures {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of the newest flush.
    pub fn committed(&self) -> watch::Receiver<i64> {
        self.committed.clone()
    }

    /// Done when the thread has ended, be it by a bug.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Stored readings.
    pub const fn history(&self) -> &History {
        &self.history
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Command,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| StoreError::Stopped)?;
        answered.await.unwrap_or(Err(StoreError::Stopped))
    }
}

/// What the thread owns.
struct Keeper {
    file: StoreFile,
    clock: Arc<dyn Clock>,
    figures: Arc<Mutex<Figures>>,
    told: watch::Sender<i64>,
    error: Option<String>,
}

impl Keeper {
    fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        self.show();
        loop {
            let command = match commands.try_recv() {
                Ok(command) => command,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) if self.tidy() => continue,
                Err(TryRecvError::Empty) => match commands.blocking_recv() {
                    Some(command) => command,
                    None => break,
                },
            };
            match command {
                Command::Flush(flush, answer) => {
                    let done = self.flush(&flush);
                    self.answer(answer, done);
                }
                Command::Take(lane, limits, answer) => {
                    let done = self.guarded(|file, _| file.take(lane, limits));
                    self.answer(answer, done);
                }
                Command::Settle(cargo, settlement, answer) => {
                    let mut receipt = Some((cargo, settlement));
                    let done = self.guarded(|file, now| match receipt.take() {
                        Some((cargo, settlement)) => file.settle(cargo, settlement, now),
                        None => Ok(false),
                    });
                    self.answer(answer, done);
                }
                Command::Release(cargo) => self.file.release(&cargo),
                Command::NextId(answer) => {
                    let done = self.guarded(|file, _| file.next_id());
                    self.answer(answer, done);
                }
                Command::Fork(answer) => {
                    let done = self.guarded(|file, _| file.fork());
                    self.answer(answer, done);
                }
                Command::RecordWrite(write, answer) => {
                    let done = self.guarded(|file, _| file.record_write(&write));
                    self.answer(answer, done);
                }
                Command::EndDeadLetters(fate, chosen, answer) => {
                    let done = self.guarded(|file, _| file.end_dead_letters(fate, &chosen));
                    self.answer(answer, done);
                }
                Command::Close(answer) => {
                    let closed = self.file.close();
                    let _ = answer.send(closed);
                    return;
                }
            }
        }
        if let Err(error) = self.file.close() {
            tracing::error!(%error, "the store was not closed cleanly");
        }
    }

    /// Answers when the figures tell of it already.
    fn answer<T>(&self, to: oneshot::Sender<T>, done: T) {
        self.show();
        // Who does not wait for the answer any more does not miss it.
        let _ = to.send(done);
    }

    fn flush(&mut self, flush: &Flush) -> Result<(), StoreError> {
        let done = self.guarded(|file, now| file.commit_flush(flush, now));
        match &done {
            Ok(()) => {
                if self.error.take().is_some() {
                    tracing::info!("the store commits again");
                }
                self.told.send_replace(self.file.next_flush - 1);
            }
            Err(error) => self.note(error),
        }
        done
    }

    /// Does `work`; where the file turns out to be damaged, on a new one.
    fn guarded<T>(
        &mut self,
        mut work: impl FnMut(&mut StoreFile, Duration) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let now = self.clock.monotonic();
        match self.file.mending(|file| work(file, now)) {
            Err(StoreError::Damaged(cause)) => {
                let lock = self.file.lock.try_clone().map_err(|error| StoreError::Damaged(error.to_string()))?;
                self.file = open::begin_again(self.file.settings.clone(), lock, now, &cause)?;
                work(&mut self.file, now)
            }
            done => done,
        }
    }

    /// One step of what is not urgent. Gives whether there may be another.
    fn tidy(&mut self) -> bool {
        let step = self.guarded(|file, now| {
            if file.receipts_due(now) {
                file.commit(None)?;
            }
            if file.seal_due(now) {
                file.seal(now)?;
                file.book_written()?;
                file.limit_dead_letters()?;
                file.retaining = true;
            }
            if file.date_some()? {
                return Ok(true);
            }
            if file.retaining || file.is_full()? {
                file.retaining = file.retain_some()?;
            }
            Ok(file.retaining)
        });
        step.unwrap_or_else(|error| {
            self.note(&error);
            false
        })
    }

    fn note(&mut self, error: &StoreError) {
        let words = error.to_string();
        if self.error.as_ref() != Some(&words) {
            tracing::error!(error = words, "the store cannot do its work; readings wait in memory");
            self.error = Some(words);
        }
    }

    fn show(&self) {
        let oldest = self.file.oldest_unsettled_at().ok().flatten().map(|Stamp { boot, ms }| match boot {
            None => Oldest::Utc(ms),
            Some(boot) if boot == self.file.boot => Oldest::Monotonic(ms),
            Some(_) => Oldest::Unknown,
        });
        let ran = self.clock.monotonic().saturating_sub(Duration::from_millis(self.file.opened_ms.unsigned_abs()));
        let figures = Figures {
            commits: self.file.commits,
            backlog: self.file.backlog,
            oldest,
            dead_letters: self.file.dead_letters,
            written: self.file.wear.written(self.file.day(), wear::this_run(), ran),
            error: self.error.clone(),
        };
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }
}
