//! A socket's place in a room: what comes to it, in order. One that falls behind gets the newest of
//! what it missed; one that stays behind has to go.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use riverwatts_shared::time::UtcMs;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::close::Close;
use super::frame::{Backfilled, Head};
use super::room::{Changes, Frame, Room};
use super::rooms::{RoomId, Seen};
use super::sight::failed;
use super::sockets::Visitor;
use super::{Live, told};
use crate::readings::ListQuery;

/// How long a socket may be behind without ever catching up.
const BEHIND_MAX: Duration = Duration::from_secs(30);
/// Most readings that one resumption sends one by one; what goes beyond is told as a span.
const RESUMED_MAX: usize = 5_000;
/// Readings in one frame of them.
const RESUMED_PER_FRAME: usize = 200;

/// What comes to a socket.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A frame to send.
    Frame(Bytes),
    /// It has to close.
    Close(Close),
}

/// A socket's place in a room; left when dropped.
#[derive(Debug)]
pub struct Place {
    live: Live,
    visitor: Visitor,
    number: u64,
    ended: oneshot::Receiver<Close>,
    seen: Seen,
    room: Arc<Room>,
    /// There until the place is left.
    frames: Option<Receiver<Frame>>,
    /// Number of the room's frame that came last.
    seq: u64,
    /// Frames for this socket alone.
    own: VecDeque<Bytes>,
    behind_since: Option<Instant>,
}

impl Live {
    /// A place in a room, whose first event is the snapshot.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn enter(&self, visitor: Visitor, id: RoomId) -> Result<Place, Close> {
        let seen = self.0.look(visitor, id).await?;
        let (number, ended) = self.0.sockets.add(visitor, id).ok_or(Close::Later)?;
        let (room, seq, frames) = self.0.rooms.enter(visitor.user_id, &seen);
        let frames = Some(frames);
        let own = VecDeque::new();
        let live = self.clone();
        let mut place = Place { live, visitor, number, ended, seen, room, frames, seq, own, behind_since: None };
        place.take_snapshot().await?;
        Ok(place)
    }
}

impl Place {
    /// The next that comes. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(bytes) = self.own.pop_front() {
                return Event::Frame(bytes);
            }
            let frames = self.frames.as_mut().expect("the place is not left");
            let received = tokio::select! {
                biased;
                close = &mut self.ended => return Event::Close(close.unwrap_or(Close::GoingAway)),
                received = frames.recv() => received,
            };
            match received {
                Ok(frame) => {
                    self.seq = frame.seq;
                    if self.behind_since.is_some() && frames.is_empty() {
                        self.behind_since = None;
                    }
                    return Event::Frame(frame.bytes);
                }
                Err(RecvError::Lagged(_)) => {
                    let now = Instant::now();
                    if now.duration_since(*self.behind_since.get_or_insert(now)) > BEHIND_MAX {
                        return Event::Close(Close::TooSlow);
                    }
                    metrics::counter!("riverwatts_live_coalesced_total").increment(1);
                    self.catch_up(&[]);
                }
                Err(RecvError::Closed) => unreachable!("the room holds the sender, and the place the room"),
            }
        }
    }

    /// The head of a frame for this socket alone.
    pub fn head(&self) -> Head {
        self.room.head(self.seq)
    }

    /// The person has a newer token.
    pub fn renew(&mut self, visitor: Visitor) -> Result<(), Close> {
        if visitor.user_id != self.visitor.user_id {
            return Err(Close::NotSignedIn);
        }
        self.visitor = visitor;
        self.live.0.sockets.renew(self.number, visitor);
        Ok(())
    }

    /// Continues behind these times: all readings since come next, oldest first, before what is new.
    pub async fn resume(&mut self, after: &BTreeMap<Uuid, UtcMs>) -> Result<(), Close> {
        let devices = self.live.0.contents(self.visitor, &self.seen).await?.devices;
        let named: Vec<Uuid> = after.keys().copied().collect();
        let newest = self.catch_up(&named);
        let head = self.head();
        let mut readings = Vec::new();
        let mut spans = Vec::new();
        for device in &devices {
            let (Some(after), Some(newest)) = (after.get(&device.id), newest.get(&device.id)) else { continue };
            let (from, to) = (after.plus_ms(1), newest.plus_ms(1));
            if from >= to {
                continue;
            }
            let left = RESUMED_MAX - readings.len();
            let query =
                ListQuery { devices: vec![device.number], from, to, descending: false, after: None, limit: left + 1 };
            let rows = self.live.0.readings.list(query).await.map_err(failed)?;
            if rows.len() > left {
                spans.push(Backfilled { device_id: device.id, from, to });
            } else {
                readings.extend(rows.iter().filter_map(|row| told(device.id, row)));
            }
        }
        readings.sort_by_key(|told| told.version);
        for part in readings.chunks(RESUMED_PER_FRAME) {
            self.own.push_back(head.reading(part.iter().map(|told| &told.json)));
        }
        if !spans.is_empty() {
            self.own.push_back(head.status(std::iter::empty(), spans.into_iter()));
        }
        Ok(())
    }

    async fn take_snapshot(&mut self) -> Result<(), Close> {
        if self.seen == Seen::Alerts {
            self.own.push_back(self.head().alerts());
            return Ok(());
        }
        let contents = self.live.0.contents(self.visitor, &self.seen).await?;
        let devices: Vec<Uuid> = contents.devices.iter().map(|device| device.id).collect();
        self.room.learn(contents.newest, contents.gateways, self.seq);
        let (seq, frames, bytes) = self.room.snapshot(&devices, self.seq);
        (self.seq, self.frames) = (seq, Some(frames));
        self.own.push_back(bytes);
        Ok(())
    }

    /// Lets go of the frames that wait, for the newest of what they tell; not of the devices in
    /// `except`, whose times are answered.
    fn catch_up(&mut self, except: &[Uuid]) -> HashMap<Uuid, UtcMs> {
        let Changes { seq, frames, own, newest } = self.room.changes(self.seq, except);
        (self.seq, self.frames) = (seq, Some(frames));
        self.own.extend(own);
        newest
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.live.0.sockets.remove(self.number);
        if let Some(frames) = self.frames.take() {
            self.live.0.rooms.leave(self.visitor.user_id, &self.seen, &self.room, frames);
        }
    }
}

#[cfg(test)]
mod tests;
