//! One write from the command line: while no gateway runs, since that has the wires and the store.
//! The devices concerned are polled as a gateway would, so that interlocks see fresh values.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::metric::Metric;
use riverwatts_shared::reading::Value;
use riverwatts_shared::time::Clock;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::narrow::narrow;
use super::perform::{Outcome, Report};
use super::proposal::Proposal;
use crate::bus::status::Status;
use crate::bus::{Bus, Driven, Order};
use crate::clock::{BootClock, SiteTime, Timekeeper, has_passed, is_synchronised};
use crate::config::Config;
use crate::record::{FromBus, Polled};
use crate::run::settings;
use crate::store::{self, OpenError, Store, StoreError, WriteRow};

/// How long the devices may take to show who they are and what the interlocks need.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long the bus may take for one write, besides the time that the value takes to show.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// Messages of the buses that may wait.
const WAITING_MAX: usize = 64;

/// What somebody wants to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Key of the device.
    pub device: String,
    /// Name of the write in its profile.
    pub name: String,
    /// The value.
    pub value: String,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum ErrandError {
    /// The wires and the store are taken.
    #[error("a gateway runs with this store and has the wires: stop it, write, and start it again")]
    Running,
    /// There is no store to write it down in.
    #[error(transparent)]
    Store(OpenError),
    /// What is not written down is not written.
    #[error("nothing was written, since it cannot be recorded: {0}")]
    Unrecorded(StoreError),
    /// It was carried out, and its end is not in the store.
    #[error("{0}; and that could not be recorded: {1}")]
    EndUnrecorded(String, StoreError),
    /// The system refuses a thread.
    #[error("a bus cannot be started: {0}")]
    Bus(io::Error),
}

/// Writes, records and answers.
///
/// # Errors
/// When there is no outcome.
pub async fn write(config: &Config, asked: &Asked) -> Result<Answer, ErrandError> {
    let boot = BootClock::this_boot();
    let clock: Arc<dyn Clock> = Arc::new(boot.clone());
    let (store, left) = store::start(settings(config, &boot), Arc::clone(&clock)).map_err(|error| match error {
        OpenError::Locked { .. } => ErrandError::Running,
        other => ErrandError::Store(other),
    })?;
    let now = clock.monotonic();
    let passed_ms = has_passed().0 - now.as_millis() as i64;
    let time = SiteTime::new(Arc::clone(&clock), Timekeeper::new(left.anchor, left.floor_ms.max(Some(passed_ms)), now));
    if is_synchronised() {
        time.observe_synchronised();
    }
    let ended = recorded(config, asked, &store, &time, &clock).await;
    if let Err(error) = store.close().await {
        tracing::error!(%error, "the store was not closed cleanly");
    }
    ended
}

async fn recorded(
    config: &Config,
    asked: &Asked,
    store: &Store,
    time: &SiteTime,
    clock: &Arc<dyn Clock>,
) -> Result<Answer, ErrandError> {
    let mut row = WriteRow {
        at_ms: clock.monotonic().as_millis() as i64,
        time_ms: time.now().map(|now| now.0),
        who: who(),
        device: asked.device.clone(),
        name: asked.name.clone(),
        value: asked.value.clone(),
        ..WriteRow::default()
    };
    row.number = Some(store.record_write(row.clone()).await.map_err(ErrandError::Unrecorded)?);
    let Report { old, outcome } = match Proposal::new(config, &asked.device, &asked.name, &asked.value) {
        Err(refusal) => Report { old: None, outcome: Outcome::Refused(refusal.to_string()) },
        Ok(proposal) => carried_out(&narrow(config, &proposal), asked, clock).await.map_err(ErrandError::Bus)?,
    };
    row.old = old;
    row.outcome = Some(outcome.word().to_owned());
    row.words = outcome.words().to_owned();
    let WriteRow { who, device, name, old, value, words, .. } = row.clone();
    tracing::info!(
        device.id = device,
        write = name,
        old,
        value,
        outcome = outcome.word(),
        reason = words,
        who,
        "write"
    );
    let answer = Answer { device, write: name, old, value, outcome, who };
    match store.record_write(row).await {
        Ok(_) => Ok(answer),
        Err(error) => Err(ErrandError::EndUnrecorded(answer.to_string(), error)),
    }
}

/// Polls the devices of a narrowed configuration until it is known whether to write, and writes.
async fn carried_out(config: &Config, asked: &Asked, clock: &Arc<dyn Clock>) -> io::Result<Report> {
    let (out, mut from_buses) = mpsc::channel(WAITING_MAX);
    let stop = CancellationToken::new();
    let mut statuses: HashMap<usize, Arc<Status>> = HashMap::new();
    let mut writers = HashMap::new();
    let mut driven: Vec<Driven> = Vec::new();
    for (index, bus) in Bus::all(config, clock, &out).into_iter().enumerate() {
        if config.devices.iter().any(|device| device.bus == index) {
            statuses.insert(index, bus.status());
            writers.insert(index, bus.writer());
            driven.push(bus.start(stop.clone())?);
        }
    }
    drop(out);
    let report = match Proposal::new(config, &asked.device, &asked.name, &asked.value) {
        Err(refusal) => refused(refusal.to_string()),
        Ok(proposal) => {
            let writer = &writers[&proposal.device().bus];
            ordered(&proposal, writer, &statuses, &mut from_buses, &**clock).await
        }
    };
    stop.cancel();
    for bus in driven {
        bus.join().await;
    }
    Ok(report)
}

async fn ordered(
    proposal: &Proposal<'_>,
    writer: &mpsc::Sender<Order>,
    statuses: &HashMap<usize, Arc<Status>>,
    from_buses: &mut mpsc::Receiver<FromBus>,
    clock: &dyn Clock,
) -> Report {
    let mut latest: HashMap<(u16, Metric), (Value, Duration)> = HashMap::new();
    let mut recognised = false;
    let deadline = Instant::now() + ANSWER_WITHIN;
    let known = |latest: &HashMap<_, _>| {
        proposal.interlocks().iter().all(|interlock| latest.contains_key(&(interlock.device, interlock.metric)))
    };
    while !(recognised && known(&latest)) {
        match timeout_at(deadline, from_buses.recv()).await {
            Ok(Some(FromBus::Identity { device, .. })) => recognised |= device == proposal.number(),
            Ok(Some(FromBus::Polled(Polled { device, monotonic, values, .. }))) => {
                latest.extend(values.into_iter().map(|value| ((device, value.metric), (value, monotonic))));
            }
            Ok(None) | Err(_) => break,
        }
    }
    if !recognised {
        let device = proposal.device();
        let state = statuses[&device.bus].get();
        let unit = state.units.iter().find(|unit| unit.device == proposal.number());
        let cause = unit.and_then(|unit| unit.last_error.clone()).unwrap_or_else(|| "it did not answer".to_owned());
        return refused(format!("{} cannot be reached, or is not the device of its profile: {cause}", device.id));
    }
    let now = clock.monotonic();
    let aged = |(value, at): &(Value, Duration)| (*value, now.saturating_sub(*at));
    let permit = match proposal.permit(|device, metric| latest.get(&(device, metric)).map(aged), now) {
        Ok(permit) => permit,
        Err(refusal) => return refused(refusal.to_string()),
    };
    let within = WRITE_WITHIN + permit.write().within;
    let (answer, answered) = oneshot::channel();
    if writer.try_send(Order { permit, answer }).is_err() {
        return refused("the bus has too many writes in hand: ask again".to_owned());
    }
    match timeout_at(Instant::now() + within, answered).await {
        Ok(Ok(report)) => report,
        Ok(Err(_)) | Err(_) => {
            let words = "the bus gave no outcome: look at the device before you write again".to_owned();
            Report { old: None, outcome: Outcome::NotConfirmed(words) }
        }
    }
}

fn refused(words: String) -> Report {
    Report { old: None, outcome: Outcome::Refused(words) }
}

/// The user of this program, and on whose behalf.
fn who() -> String {
    let id = fs::metadata("/proc/self").map(|process| process.uid());
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = match id {
        Ok(id) => user(&users, id).unwrap_or_else(|| format!("user {id}")),
        Err(_) => "unknown".to_owned(),
    };
    match std::env::var("SUDO_USER") {
        Ok(person) if !person.is_empty() => format!("{user} for {}", person.chars().take(32).collect::<String>()),
        _ => user,
    }
}

/// The name of a user, from `/etc/passwd`.
fn user(users: &str, id: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_told_by_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\nmaria:x:1000:1000::/home/maria:/bin/sh\n";
        assert_eq!(user(users, 1000).as_deref(), Some("maria"));
        assert_eq!(user(users, 1001), None);
        assert!(!who().is_empty());
    }
}
