//! A writer's queue: bounded, worked off in groups, by a thread that owns its file or by tasks that share
//! it. Those who wait get their answers through the jobs themselves.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::ReadingsError;

/// Jobs that may wait for one writer.
const JOBS_MAX: usize = 256;
/// How long a job may wait for a place in the queue before its sender is told to come later.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// The way to a writer.
pub struct Queue<J> {
    sender: Sender<Wanted<J>>,
}

enum Wanted<J> {
    Job(J),
    /// Work off what waits and end.
    End(oneshot::Sender<()>),
}

/// The writer's end of the queue.
pub struct Jobs<J> {
    receiver: Receiver<Wanted<J>>,
    /// Dropped with the jobs, which tells of the end.
    ending: Option<oneshot::Sender<()>>,
}

impl<J: Send + 'static> Queue<J> {
    /// Both ends of a queue.
    pub fn new() -> (Queue<J>, Jobs<J>) {
        let (sender, receiver) = channel(JOBS_MAX);
        (Queue { sender }, Jobs { receiver, ending: None })
    }

    /// Starts a thread of this name that runs `work` until its jobs end.
    pub fn start(name: &str, work: impl FnOnce(&mut Jobs<J>) + Send + 'static) -> io::Result<Queue<J>> {
        let (queue, mut jobs) = Queue::new();
        thread::Builder::new().name(name.to_owned()).spawn(move || work(&mut jobs))?;
        Ok(queue)
    }

    /// Puts a job into the queue.
    pub async fn submit(&self, job: J) -> Result<(), ReadingsError> {
        match self.sender.send_timeout(Wanted::Job(job), WAIT_MAX).await {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Timeout(_)) => Err(ReadingsError::Busy),
            Err(SendTimeoutError::Closed(_)) => Err(ReadingsError::Unavailable(Arc::new(Ended))),
        }
    }

    /// Ends the writer after what waits.
    pub async fn close(&self) {
        let (ending, ended) = oneshot::channel();
        if self.sender.send(Wanted::End(ending)).await.is_ok() {
            let _ = ended.await; // nothing is ever sent: the sender goes with the writer
        }
    }
}

impl<J> Jobs<J> {
    /// Waits, where it may block, for a job and takes what waits behind it, until the weights reach
    /// `weight_max`; `None` at the end.
    pub fn next_group(&mut self, weight_max: usize, weight: impl Fn(&J) -> usize) -> Option<Vec<J>> {
        let first = if self.ending.is_some() { None } else { self.receiver.blocking_recv() };
        self.gather(first, weight_max, weight)
    }

    /// The same in a task.
    pub async fn group(&mut self, weight_max: usize, weight: impl Fn(&J) -> usize) -> Option<Vec<J>> {
        let first = if self.ending.is_some() { None } else { self.receiver.recv().await };
        self.gather(first, weight_max, weight)
    }

    fn gather(&mut self, first: Option<Wanted<J>>, weight_max: usize, weight: impl Fn(&J) -> usize) -> Option<Vec<J>> {
        let mut group = Vec::new();
        let mut total = 0;
        let mut next = first;
        while let Some(wanted) = next {
            match wanted {
                Wanted::Job(job) => {
                    total += weight(&job);
                    group.push(job);
                }
                Wanted::End(ending) => {
                    self.receiver.close();
                    self.ending = Some(ending);
                    break;
                }
            }
            next = if total < weight_max { self.receiver.try_recv().ok() } else { None };
        }
        if group.is_empty() { None } else { Some(group) }
    }
}

impl<J> fmt::Debug for Queue<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("free", &self.sender.capacity()).finish()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the writer has ended")]
struct Ended;
