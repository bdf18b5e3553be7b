//! The store's own thread: commands come through a bounded channel, answers go back one by one.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::time::Clock;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::file::StoreFile;
use super::keep::Keeper;
use super::open::{self, OpenError};
use super::traffic::{Carried, Days};
use super::trouble;
use super::{
    Cargo, Chosen, Fate, Flush, History, Lane, Left, Limits, Lost, Outgoing, Settings, Settlement, StoreError,
    WriteRow, Written,
};

/// Commands that may wait.
const WAITING_MAX: usize = 16;
/// Stack of the thread, in bytes.
const STACK_BYTES: usize = 512 << 10;
/// So long [`start_anyway`] waits for a slow disk.
const OPEN_WITHIN: Duration = Duration::from_secs(3);

/// The store, for those who use it. Every call but [`Store::figures`] waits for the thread, which
/// waits for the disk.
#[derive(Debug, Clone)]
pub struct Store {
    commands: mpsc::Sender<Command>,
    figures: Arc<Mutex<Figures>>,
    clock: Arc<dyn Clock>,
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
    /// Readings that were given up since the start.
    pub lost: Lost,
    /// That it is full, and what becomes of readings therefore, while it is.
    pub full: Option<String>,
    /// Bytes that went over the link, by day of the site's calendar.
    pub traffic: Arc<Days>,
    /// What keeps it from committing, while it does.
    pub error: Option<String>,
    /// Since when it has been at one piece of work, in monotonic time.
    pub(super) busy_since: Option<Duration>,
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
    CountTraffic(i64, Carried, oneshot::Sender<Result<(), StoreError>>),
    RecordWrite(WriteRow, oneshot::Sender<Result<i64, StoreError>>),
    EndDeadLetters(Fate, Chosen, oneshot::Sender<Result<u64, StoreError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// Opens the store and starts its thread.
///
/// # Errors
/// When the folder cannot be used, or is used by another program.
pub fn start(settings: Settings, clock: Arc<dyn Clock>) -> Result<(Store, Left), OpenError> {
    let dir = settings.dir.clone();
    let (store, opened) = begin(settings, clock)?;
    let left = opened.recv().unwrap_or_else(|_| Err(OpenError::Thread { path: dir }))?;
    Ok((store, left))
}

/// The same, but a disk that cannot be used now is tried again and again: until it can, flushes are
/// refused, and nothing is known of what an earlier run left.
///
/// # Errors
/// When the folder is used by another program, or by a newer version.
pub fn start_anyway(settings: Settings, clock: Arc<dyn Clock>) -> Result<(Store, Left), OpenError> {
    let (dir, devices) = (settings.dir.clone(), settings.keys.len());
    let (store, opened) = begin(settings, clock)?;
    match opened.recv_timeout(OPEN_WITHIN) {
        Ok(Ok(left)) => Ok((store, left)),
        Ok(Err(error)) if error.is_final() => Err(error),
        Ok(Err(_)) | Err(RecvTimeoutError::Timeout) => {
            Ok((store, Left { last: vec![(None, None); devices], ..Left::default() }))
        }
        Err(RecvTimeoutError::Disconnected) => Err(OpenError::Thread { path: dir }),
    }
}

/// The thread, which tells how opening went.
fn begin(
    settings: Settings,
    clock: Arc<dyn Clock>,
) -> Result<(Store, std::sync::mpsc::Receiver<Result<Left, OpenError>>), OpenError> {
    let path = settings.dir.join(open::FILE);
    let (commands, from_users) = mpsc::channel(WAITING_MAX);
    let (told, committed) = watch::channel(0);
    let figures = Arc::new(Mutex::new(Figures { busy_since: Some(clock.monotonic()), ..Figures::default() }));
    let history = History { path: path.clone() };
    let ended = CancellationToken::new();
    let guard = ended.clone().drop_guard();
    let (tell, opened) = sync_channel(1);
    let keeper = Keeper {
        file: None,
        settings,
        clock: Arc::clone(&clock),
        figures: Arc::clone(&figures),
        told,
        trouble: None,
        untidy: None,
    };
    let store = Store { commands, figures, clock, committed, history, ended };
    let thread = thread::Builder::new().name("store".to_owned()).stack_size(STACK_BYTES);
    let spawned = thread.spawn(move || {
        let _guard = guard;
        keeper.run(from_users, &tell);
    });
    spawned.map_err(|cause| OpenError::Folder { path, cause })?;
    Ok((store, opened))
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

    /// Takes a receipt. Gives whether this side or the cloud was put back to an earlier state, so that what
    /// the cloud may lack is sent again.
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

    /// Counts what went over the link on a day of the site's calendar; the figures tell it at once.
    pub async fn count_traffic(&self, day: i64, more: Carried) -> Result<(), StoreError> {
        self.ask(|answer| Command::CountTraffic(day, more, answer)).await
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
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let slow = figures.busy_since.and_then(|since| trouble::slow(since, self.clock.monotonic()));
        figures.error = figures.error.or(slow);
        figures
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

impl Keeper {
    fn run(mut self, mut commands: mpsc::Receiver<Command>, opened: &SyncSender<Result<Left, OpenError>>) {
        let left = self.open();
        self.show();
        // Who does not wait any more will see it in the figures.
        let _ = opened.try_send(left);
        loop {
            let command = match commands.try_recv() {
                Ok(command) => command,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) if self.tidy() => continue,
                Err(TryRecvError::Empty) => {
                    self.show();
                    match commands.blocking_recv() {
                        Some(command) => command,
                        None => break,
                    }
                }
            };
            self.begin_work();
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
                Command::Release(cargo) => {
                    if let Some(file) = &mut self.file {
                        file.release(&cargo);
                    }
                }
                Command::NextId(answer) => {
                    let done = self.guarded(|file, _| file.next_id());
                    self.answer(answer, done);
                }
                Command::Fork(answer) => {
                    let done = self.guarded(|file, _| file.fork());
                    self.answer(answer, done);
                }
                Command::CountTraffic(day, more, answer) => {
                    let done = self.guarded(|file, now| {
                        file.traffic.count(day, more, now);
                        Ok(())
                    });
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
                    let closed = self.file.map_or(Ok(()), StoreFile::close);
                    let _ = answer.send(closed);
                    return;
                }
            }
        }
        if let Some(Err(error)) = self.file.map(StoreFile::close) {
            tracing::error!(%error, "the store was not closed cleanly");
        }
    }
}
