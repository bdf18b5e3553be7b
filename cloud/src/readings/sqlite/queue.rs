//! A writer: a thread that owns its file and works off a bounded queue. Those who wait get their
//! answers through the jobs themselves.

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
    ending: Option<oneshot::Sender<()>>,
}

impl<J: Send + 'static> Queue<J> {
    /// Starts a thread of this name that runs `work` until its jobs end.
    pub fn start(name: &str, work: impl FnOnce(&mut Jobs<J>) + Send + 'static) -> io::Result<Queue<J>> {
        let (sender, receiver) = channel(JOBS_MAX);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut jobs = Jobs { receiver, ending: None };
            work(&mut jobs);
            if let Some(ended) = jobs.ending {
                let _ = ended.send(()); // nobody may be left who waits for the end
            }
        })?;
        Ok(Queue { sender })
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
        let (ended, end) = oneshot::channel();
        if self.sender.send(Wanted::End(ended)).await.is_ok() {
            let _ = end.await; // ended either way
        }
    }
}

impl<J> Jobs<J> {
    /// Waits for a job and takes what waits behind it, until the weights reach `weight_max`; `None`
    /// at the end.
    pub fn next_group(&mut self, weight_max: usize, weight: impl Fn(&J) -> usize) -> Option<Vec<J>> {
        if self.ending.is_some() {
            return None;
        }
        let mut group = Vec::new();
        let mut total = 0;
        let mut next = self.receiver.blocking_recv();
        loop {
            match next {
                Some(Wanted::Job(job)) => {
                    total += weight(&job);
                    group.push(job);
                }
                Some(Wanted::End(ended)) => {
                    self.receiver.close();
                    self.ending = Some(ended);
                    break;
                }
                None => break,
            }
            if total >= weight_max {
                break;
            }
            next = match self.receiver.try_recv() {
                Ok(wanted) => Some(wanted),
                Err(_) => break,
            };
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
