//! The way to the cloud: a task of its own that nothing else waits for. Each cycle first sends what
//! was read since the last one, then the backlog, oldest first. Only a receipt settles. What the link
//! costs may make it send less, and later; never nothing at all.

mod announce;
mod budget;
mod cloud;
mod configuration;
mod deliver;
mod link;
mod pace;
mod plan;
mod receipt;
pub mod socket;
#[cfg(test)]
mod tests;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::batch::{Batch, Item};
use riverwatts_shared::time::UtcMs;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::announce::Announcements;
use self::budget::Budget;
use self::cloud::Cloud;
use self::configuration::Configuration;
use self::deliver::Sendable;
use self::pace::{Pace, Pause};
use crate::clock::SiteTime;
use crate::config::Config;
use crate::enroll::Credential;
use crate::record::Recorded;
use crate::store::{Cargo, Carried, Lane, Left, Limits, Outgoing, Store, StoreError};

pub(crate) use self::announce::announcement;
pub use self::budget::BacklogWait;
pub use self::link::Link;
pub use self::plan::{PlanState, Usage};

/// How often the credential is looked for while there is none that works.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often a long interval is looked at again: the clock may have moved, or the billing month ended.
const JUDGE_EVERY: Duration = Duration::from_secs(5);
/// How long the last attempt may take when the gateway stops.
const LAST_ATTEMPT: Duration = Duration::from_secs(3);
/// Shortest and longest silence that an empty batch ends, so that the cloud hears of a gateway that has
/// nothing to send; longer where uploads are set to be rarer.
const QUIET_MIN: Duration = Duration::from_secs(10);
const QUIET_MAX: Duration = Duration::from_secs(180);

/// The task.
#[derive(Debug)]
pub struct Uploader {
    config: Arc<Config>,
    store: Store,
    time: Arc<SiteTime>,
    recorded: Arc<Recorded>,
    link: Arc<Link>,
    /// The interval in force, which flushes follow.
    every: watch::Sender<Duration>,
    committed: watch::Receiver<i64>,
    seen: i64,
    /// The newest time stored by an earlier run, for checking certificates.
    newest: UtcMs,
    credential: Option<Credential>,
    cloud: Option<Cloud>,
    announcements: Announcements,
    configuration: Configuration,
    pace: Pace,
    budget: Budget,
    /// A batch that may have arrived: sent once more as it is, so that the cloud knows it again.
    unclear: Option<Sendable>,
    /// When the cloud answered last.
    answered_at: Option<Instant>,
    /// When the next batch may go, after what the ones before took of the bandwidth.
    free_at: Instant,
    /// What the link had carried then.
    paid: Carried,
}

impl Uploader {
    /// `left`: what an earlier run left in the store.
    pub fn new(
        config: Arc<Config>,
        store: Store,
        time: Arc<SiteTime>,
        recorded: Arc<Recorded>,
        left: &Left,
        every: watch::Sender<Duration>,
    ) -> Self {
        let committed = store.committed();
        let seen = *committed.borrow();
        Uploader {
            budget: Budget::new(&config.site.timezone),
            configuration: Configuration::new(&config.text),
            config,
            time,
            recorded,
            link: Arc::default(),
            every,
            seen,
            committed,
            newest: UtcMs(left.newest_ms.unwrap_or_default()),
            credential: None,
            cloud: None,
            announcements: Announcements::new(left.announced.clone()),
            pace: Pace::default(),
            unclear: None,
            answered_at: None,
            free_at: Instant::now(),
            paid: Carried::default(),
            store,
        }
    }

    /// The state of the link, also while the task runs.
    pub fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    /// Uploads until `stop`; then once more what is newest.
    pub async fn run(mut self, stop: CancellationToken) {
        let cycles = async {
            loop {
                let started = Instant::now();
                let before = self.budget.meter.read();
                let done = self.cycle(started).await;
                self.budget.learn(before);
                self.book().await;
                match done {
                    Ok(drained) => self.wait_for_more(started, drained).await,
                    Err(pause) => self.wait(&pause).await,
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = cycles => {}
        }
        // An attempt at a cloud that was just not reached would only delay the end.
        if self.link.state().error.is_none() {
            let _ = timeout(LAST_ATTEMPT, self.send_live()).await;
        }
        self.book().await;
    }

    /// One round. Gives whether nothing is left to send.
    async fn cycle(&mut self, started: Instant) -> Result<bool, Pause> {
        self.connect()?;
        if self.time.now().is_none() {
            self.ask_the_time().await?;
        }
        if self.time.now().is_none() {
            return Ok(false);
        }
        self.announce().await?;
        if self.time.keeper().ahead_of_cloud_ms().is_some() {
            self.wait_for_the_cloud().await?;
        }
        self.send_live().await?;
        if let Some(item) = self.configuration.due(self.time.monotonic()) {
            self.send_items(vec![item], Cargo::default()).await?;
        }
        // The backlog has a share, however long the live lane took.
        while let Some(sendable) = self.next_of_backlog().await? {
            self.deliver(sendable).await?;
            // The live lane is next when the link is free only then.
            if Instant::now().max(self.free_at) >= started + *self.every.borrow() {
                return Ok(false);
            }
        }
        self.give_sign_of_life().await?;
        Ok(true)
    }

    async fn next_of_backlog(&mut self) -> Result<Option<Sendable>, Pause> {
        self.judge();
        if self.link.backlog_waits().is_some() {
            return Ok(None);
        }
        if let Some(unclear) = self.unclear.take() {
            return Ok(Some(unclear));
        }
        match self.store.take(Lane::Backlog, self.limits()).await.map_err(store_failed)? {
            Some(outgoing) => self.load(outgoing).await.map(Some),
            None => Ok(None),
        }
    }

    /// How much a batch may have: what the link carries in half an interval, since the live lane waits
    /// for it, and a part of what is left of the plan.
    fn limits(&self) -> Limits {
        let limits = self.pace.limits();
        let rate = self.config.upload.bandwidth_bytes_per_s;
        let in_time = rate.map_or(usize::MAX, |rate| (rate as f64 * self.every.borrow().as_secs_f64() / 2.0) as usize);
        Limits { bytes: limits.bytes.min(in_time).min(self.budget.batch_bytes()), ..limits }
    }

    /// Tells the store what the link has carried, once there is a day to count it for.
    async fn book(&mut self) {
        if let Some(now) = self.time.now() {
            // What is not counted now is counted next time.
            let _ = self.budget.book(&self.store, now).await;
            self.judge();
        }
        self.link.carried(self.budget.meter.read());
    }

    /// Looks how the plan stands, and what that means for the interval and the backlog.
    fn judge(&mut self) {
        let Some(now) = self.time.now() else { return };
        let (upload, saved) = (&self.config.upload, self.budget.saves());
        self.budget.judge(upload, &self.store.figures().traffic, now);
        self.link.stands(self.budget.usage, self.budget.waits(upload, now));
        match self.budget.every(upload, now) {
            Some(stretched) => self.set_every(stretched),
            None if saved => self.set_every(upload.every),
            None => {}
        }
    }

    /// The interval unless the cloud asks for another one.
    fn usual_every(&self) -> Duration {
        let stretched = self.time.now().and_then(|now| self.budget.every(&self.config.upload, now));
        stretched.unwrap_or(self.config.upload.every)
    }

    /// Sees to it that there is a cloud to send to.
    fn connect(&mut self) -> Result<(), Pause> {
        let failed = |error: &dyn std::fmt::Display| Pause::Retry(error.to_string());
        let found = Credential::load(&self.config.store.dir).map_err(|error| failed(&error))?;
        if found != self.credential {
            self.cloud = None;
            self.credential = found;
        }
        let Some(credential) = &self.credential else {
            self.link.enrolled(None);
            return Err(Pause::NotEnrolled);
        };
        let url = self.config.cloud.url.as_ref().unwrap_or(&credential.url);
        self.link.enrolled(Some(url.clone()));
        if self.cloud.is_none() {
            let (time, newest) = (Arc::clone(&self.time), self.newest);
            let clock = move || tls::time(time.now(), time.wall(), newest);
            let tls = tls::config(url, self.config.cloud.ca.as_deref(), clock).map_err(|error| failed(&error))?;
            let http = socket::client(tls, Arc::clone(&self.budget.meter));
            self.cloud = Some(Cloud::new(http, url, credential.clone(), Arc::clone(&self.time)));
        }
        Ok(())
    }

    /// An empty batch: its answer's `Date` is what an untrusted clock waits for.
    async fn ask_the_time(&mut self) -> Result<(), Pause> {
        self.send_items(Vec::new(), Cargo::default()).await?;
        let distrust = self.time.keeper().distrust();
        if let Some((_, why)) = distrust.filter(|_| self.time.now().is_none()) {
            return Err(Pause::Retry(format!("{why}; readings wait")));
        }
        Ok(())
    }

    /// The cloud would refuse times ahead of its own, for good. An empty batch asks for its time;
    /// readings wait until that has come near.
    async fn wait_for_the_cloud(&mut self) -> Result<(), Pause> {
        self.send_items(Vec::new(), Cargo::default()).await?;
        match self.time.keeper().ahead_of_cloud_ms() {
            Some(ms) => Err(Pause::Retry(format!(
                "the clock is {} s ahead of the cloud's, which would refuse what it dates; readings wait",
                ms / 1_000
            ))),
            None => Ok(()),
        }
    }

    /// An empty batch, when the cloud has heard nothing for longer than this gateway's readings and
    /// uploads keep it waiting.
    async fn give_sign_of_life(&mut self) -> Result<(), Pause> {
        let interval = self.config.devices.iter().map(|device| device.interval).min().unwrap_or_default();
        let quiet = (interval * 3 / 2).clamp(QUIET_MIN, QUIET_MAX).max(self.usual_every() * 3 / 2);
        if self.answered_at.is_some_and(|at| at.elapsed() < quiet) {
            return Ok(());
        }
        self.send_items(Vec::new(), Cargo::default()).await
    }

    async fn announce(&mut self) -> Result<(), Pause> {
        let due = self.announcements.due(&self.config, &self.recorded, self.time.monotonic());
        if due.is_empty() {
            return Ok(());
        }
        self.send_items(due.into_iter().map(Item::Announcement).collect(), Cargo::default()).await
    }

    async fn send_live(&mut self) -> Result<(), Pause> {
        self.judge();
        let lane = if self.budget.saves() { Lane::Newest } else { Lane::Live };
        let taken = self.store.take(lane, self.limits()).await.map_err(store_failed)?;
        match taken {
            Some(outgoing) => {
                let sendable = self.load(outgoing).await?;
                self.deliver(sendable).await
            }
            None => Ok(()),
        }
    }

    async fn send_items(&mut self, items: Vec<Item>, cargo: Cargo) -> Result<(), Pause> {
        let sendable = self.load(Outgoing { items, sealed: Vec::new(), cargo }).await?;
        self.deliver(sendable).await
    }

    async fn load(&self, Outgoing { items, sealed, cargo }: Outgoing) -> Result<Sendable, Pause> {
        let id = match self.store.next_id().await {
            Ok(id) => id,
            Err(error) => {
                self.store.release(cargo).await;
                return Err(store_failed(error));
            }
        };
        let bytes = Batch { id, revision: 0, items }.encode_with(&sealed);
        Ok(Sendable { id, bytes: bytes.into(), cargo })
    }

    fn set_every(&self, every: Duration) {
        self.every.send_if_modified(|current| std::mem::replace(current, every) != every);
    }

    /// Waits for the interval, and for a flush when everything was sent.
    async fn wait_for_more(&mut self, started: Instant, drained: bool) {
        loop {
            let left = self.every.borrow().saturating_sub(started.elapsed());
            if left.is_zero() {
                break;
            }
            sleep(left.min(JUDGE_EVERY)).await;
            self.judge();
        }
        if drained {
            let (seen, every) = (self.seen, *self.every.borrow());
            // The store ends only with the gateway.
            let _ = timeout(every, self.committed.wait_for(|newest| *newest > seen)).await;
        }
        self.seen = *self.committed.borrow_and_update();
    }

    /// Waits as `pause` asks, or until there is another credential.
    async fn wait(&mut self, pause: &Pause) {
        let every = self.usual_every();
        self.set_every(every);
        let words = match pause {
            Pause::Retry(words) | Pause::After(_, words) | Pause::Stranger(words) | Pause::Refused(words) => words,
            Pause::NotEnrolled => "",
        };
        if !words.is_empty() {
            self.link.failed(words);
        }
        let mut chance = [0];
        // Without randomness the attempts are merely not spread.
        let _ = getrandom::fill(&mut chance);
        let until = Instant::now() + self.pace.wait(pause, every, chance[0]);
        let is_about_credential = matches!(pause, Pause::Stranger(_) | Pause::NotEnrolled);
        while Instant::now() < until {
            sleep((until - Instant::now()).min(self.config.upload.every).min(LOOK_EVERY)).await;
            if is_about_credential
                && Credential::load(&self.config.store.dir).is_ok_and(|found| found != self.credential)
            {
                break;
            }
        }
        self.seen = *self.committed.borrow_and_update();
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn store_failed(error: StoreError) -> Pause {
    Pause::Retry(format!("the store gives nothing: {error}"))
}
