//! Frames as bytes: what a room tells is written once, however many sockets it goes to.

use std::io::Write as _;

use bytes::Bytes;
use riverwatts_shared::time::UtcMs;
use uuid::Uuid;

use super::rooms::RoomId;

/// A span `[from, to)` of a device's past in which readings arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backfilled {
    /// The device.
    pub device_id: Uuid,
    /// The first of them.
    pub from: UtcMs,
    /// Behind the last of them.
    pub to: UtcMs,
}

/// What the frames of a room, at one place in its order, have in common.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// The room.
    pub room: RoomId,
    /// Counts its frames.
    pub seq: u64,
    /// When the frame was made.
    pub at: UtcMs,
}

impl Head {
    /// Readings, each as JSON.
    pub fn reading<'r>(&self, readings: impl Iterator<Item = &'r Bytes>) -> Bytes {
        self.frame("reading", |out| {
            out.extend_from_slice(br#"{"readings":["#);
            write_list(out, readings);
            out.extend_from_slice(b"]}");
        })
    }

    /// The newest of everything, each as JSON.
    pub fn snapshot<'r>(
        &self,
        readings: impl Iterator<Item = &'r Bytes>,
        gateways: impl Iterator<Item = &'r Bytes>,
    ) -> Bytes {
        self.frame("snapshot", |out| {
            out.extend_from_slice(br#"{"readings":["#);
            write_list(out, readings);
            out.extend_from_slice(br#"],"gateways":["#);
            write_list(out, gateways);
            out.extend_from_slice(b"]}");
        })
    }

    /// The open alerts: there are none yet.
    pub fn alerts(&self) -> Bytes {
        self.frame("snapshot", |out| out.extend_from_slice(br#"{"alerts":[]}"#))
    }

    /// Gateways, each as JSON, and spans in which readings arrived.
    pub fn status<'r>(
        &self,
        gateways: impl Iterator<Item = &'r Bytes>,
        backfilled: impl Iterator<Item = Backfilled>,
    ) -> Bytes {
        self.frame("status", |out| {
            out.extend_from_slice(br#"{"gateways":["#);
            write_list(out, gateways);
            out.extend_from_slice(br#"],"backfilled":["#);
            for (place, Backfilled { device_id, from, to }) in backfilled.enumerate() {
                let separator = if place > 0 { "," } else { "" };
                // Writing to a Vec cannot fail, here and below.
                let _ = write!(out, r#"{separator}{{"device_id":"{device_id}","from":"{from}","to":"{to}"}}"#);
            }
            out.extend_from_slice(b"]}");
        })
    }

    /// Gaps, each as JSON.
    pub fn gap<'r>(&self, gaps: impl Iterator<Item = &'r Bytes>) -> Bytes {
        self.frame("gap", |out| {
            out.extend_from_slice(br#"{"gaps":["#);
            write_list(out, gaps);
            out.extend_from_slice(b"]}");
        })
    }

    /// What is wrong with a message; neither word has anything to escape.
    pub fn error(&self, code: &str, message: &str) -> Bytes {
        self.frame("error", |out| {
            let _ = write!(out, r#"{{"code":"{code}","message":"{message}"}}"#);
        })
    }

    /// A sign of life.
    pub fn ping(&self) -> Bytes {
        self.frame("ping", |out| out.extend_from_slice(b"null"))
    }

    fn frame(&self, kind: &str, write_data: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let Head { room, seq, at } = self;
        let mut out = Vec::with_capacity(256);
        let _ = write!(out, r#"{{"type":"{kind}","room":"{room}","seq":{seq},"timestamp":"{at}","data":"#);
        write_data(&mut out);
        out.push(b'}');
        out.into()
    }
}

fn write_list<'r>(out: &mut Vec<u8>, items: impl Iterator<Item = &'r Bytes>) {
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item);
    }
}
