//! Why a socket is closed from our side, as a code and words.

/// A reason to close, after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The service stops.
    GoingAway,
    /// The peer does not speak the protocol.
    Unreadable,
    /// The peer sent one wrong message after another.
    Hostile,
    /// The peer sent more at once than is read.
    TooLarge,
    /// Too many sockets, or the database does not answer.
    Later,
    /// No token in time, or one that is not good (any more).
    NotSignedIn,
    /// The role may not be here at all.
    NotPermitted,
    /// There is no such room, or not in sight (any more).
    Unseen,
    /// The peer does not read what it is sent.
    TooSlow,
}

impl Close {
    /// Code of the close frame.
    pub const fn code(self) -> u16 {
        match self {
            Close::GoingAway => 1001,
            Close::Unreadable => 1002,
            Close::Hostile => 1008,
            Close::TooLarge => 1009,
            Close::Later => 1013,
            Close::NotSignedIn => 4401,
            Close::NotPermitted => 4403,
            Close::Unseen => 4404,
            Close::TooSlow => 4408,
        }
    }

    /// Reason of the close frame.
    pub const fn reason(self) -> &'static str {
        match self {
            Close::GoingAway => "the service stops",
            Close::Unreadable => "not understood",
            Close::Hostile => "too many messages that go nowhere",
            Close::TooLarge => "message too large",
            Close::Later => "try again later",
            Close::NotSignedIn => "no token, or it is expired or ended",
            Close::NotPermitted => "the role may not",
            Close::Unseen => "no such room",
            Close::TooSlow => "too slow",
        }
    }
}
