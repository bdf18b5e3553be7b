//! From registers to few requests: where a profile's registers stand on this very device
//! ([`Layout`]), which blocks to read how often ([`Layout::blocks`], [`Cadence`]) and at what cost
//! ([`Cost`]), how to isolate a bad address ([`Layout::bisect`]), and what that takes of the bus
//! ([`Cycle`], [`wire`]).

mod blocks;
mod cadence;
mod cost;
mod layout;
mod load;
#[cfg(test)]
mod tests;
pub mod wire;

pub use blocks::Block;
pub use cadence::Cadence;
pub use cost::{Cost, ROUND_TRIP, THINKING};
pub use layout::{Layout, Placed};
pub use load::Cycle;
pub use riverwatts_shared::profile::Function;
