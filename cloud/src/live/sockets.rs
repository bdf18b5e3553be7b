//! Who has sockets open, so that they end when a sign-in, a token or a sight does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use riverwatts_shared::time::UtcMs;
use riverwatts_shared::words::UserRole;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::close::Close;
use super::rooms::RoomId;

/// Sockets that one person may have open.
pub const SOCKETS_OF_USER_MAX: usize = 1_024;

/// A person with an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Who.
    pub user_id: Uuid,
    /// What they may do.
    pub role: UserRole,
    /// Their sign-in.
    pub session_id: Uuid,
    /// When the token ends.
    pub expires_at: UtcMs,
}

/// The open sockets.
#[derive(Debug, Default)]
pub struct Sockets(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    sockets: HashMap<u64, Socket>,
    of_users: HashMap<Uuid, usize>,
    last: u64,
}

#[derive(Debug)]
struct Socket {
    visitor: Visitor,
    room: RoomId,
    end: oneshot::Sender<Close>,
}

impl Open {
    fn remove(&mut self, number: u64) -> Option<Socket> {
        let socket = self.sockets.remove(&number)?;
        if let Some(of_user) = self.of_users.get_mut(&socket.visitor.user_id) {
            *of_user -= 1;
            if *of_user == 0 {
                self.of_users.remove(&socket.visitor.user_id);
            }
        }
        Some(socket)
    }
}

impl Sockets {
    /// Takes a socket; its number, and what tells its end. `None` when the person has too many.
    pub fn add(&self, visitor: Visitor, room: RoomId) -> Option<(u64, oneshot::Receiver<Close>)> {
        let open = &mut *self.open();
        let of_user = open.of_users.entry(visitor.user_id).or_default();
        if *of_user >= SOCKETS_OF_USER_MAX {
            return None;
        }
        *of_user += 1;
        open.last += 1;
        let (end, ended) = oneshot::channel();
        open.sockets.insert(open.last, Socket { visitor, room, end });
        Some((open.last, ended))
    }

    /// The socket has a newer token of the same person.
    pub fn renew(&self, number: u64, visitor: Visitor) {
        if let Some(socket) = self.open().sockets.get_mut(&number) {
            socket.visitor = visitor;
        }
    }

    /// Ends those that this gives a reason for.
    pub fn end(&self, reason: impl Fn(&Visitor, RoomId) -> Option<Close>) {
        let open = &mut *self.open();
        let reasons =
            open.sockets.iter().filter_map(|(&number, socket)| Some((number, reason(&socket.visitor, socket.room)?)));
        for (number, close) in reasons.collect::<Vec<_>>() {
            if let Some(socket) = open.remove(number) {
                let _ = socket.end.send(close); // it may just have gone
            }
        }
    }

    /// The socket has gone.
    pub fn remove(&self, number: u64) {
        self.open().remove(number);
    }

    /// Who is in which room, each pair once.
    pub fn visits(&self) -> Vec<(Visitor, RoomId)> {
        let open = self.open();
        let visits = open.sockets.values().map(|socket| ((socket.visitor.user_id, socket.room), socket.visitor));
        let once: HashMap<(Uuid, RoomId), Visitor> = visits.collect();
        once.into_iter().map(|((_, room), visitor)| (visitor, room)).collect()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().expect("never poisoned: nothing panics inside")
    }
}
