//! What a person who is signed in can change.

use std::fmt;

use futures_util::future::BoxFuture;
use riverwatts_shared::time::UtcMs;

use crate::clock::Distrust;
use crate::store::{Chosen, Fate};

/// Carried out by the gateway around the panel.
pub trait Changes: Send + Sync + fmt::Debug {
    /// Takes the time that a technician confirms.
    ///
    /// # Errors
    /// When it is not believed, and why.
    fn take_time(&self, said: UtcMs) -> Result<(), Distrust>;
    /// Ends the dead letters of a choice, all of them or none; gives how many.
    ///
    /// # Errors
    /// The cause, for the log.
    fn end_dead_letters(&self, fate: Fate, chosen: Chosen) -> BoxFuture<'_, Result<u64, String>>;
}
