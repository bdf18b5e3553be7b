//! Device profiles: what the registers of one family of devices mean.
//!
//! A profile is a plain TOML file without templates or expressions, taught in
//! `docs/device-profiles.md`. [`parse`] reads and checks it and reports every mistake with its
//! line; the result is resolved (names have become indices), so that users need not look back.

mod builtin;
mod check;
mod condition;
mod decimal;
pub mod fields;
mod kind;
mod model;
mod parse;
mod register;
mod relation;
#[cfg(test)]
mod schema;
pub mod sunspec;
#[cfg(test)]
mod tests;
mod write;

pub use builtin::{builtin, builtin_names};
pub use condition::*;
pub use decimal::Decimal;
pub use kind::{Kind, Order};
pub use model::*;
pub use parse::parse;
pub use write::*;
