//! Writing to devices. Everything is off unless the profile knows the write, `edge.toml` opens it, the
//! value is allowed and every interlock holds: only then there is a [`Permit`], and without one no
//! frame that writes can be made. A bus carries it out between two polls and reads back what shows.

mod answer;
mod errand;
mod narrow;
mod perform;
mod permit;
mod proposal;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Proposed};
pub use errand::{Asked, ErrandError, write};
pub(crate) use perform::{Begun, Reached, begin, look};
pub use perform::{Outcome, Report};
pub use permit::{Command, HOLDS, Permit};
pub use proposal::{Proposal, Refusal, told};
